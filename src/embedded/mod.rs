//! An in-process broker on the real wire, for demos and tests.
