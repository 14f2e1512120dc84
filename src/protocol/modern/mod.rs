//! Kafka's request protocol, 0.8.2 to 4.3: primitives, headers, and one definition per API.
