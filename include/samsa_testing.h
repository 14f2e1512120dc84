/*
 * An embedded broker for tests of programs that use libsamsa.
 *
 * Outside the ABI promise: names here may change with any release. Present when the library was
 * built with its feature embedded, as the installed one is. The rules are those of samsa.h.
 */
#ifndef SAMSA_TESTING_H
#define SAMSA_TESTING_H

#include <samsa.h>

#ifdef __cplusplus
extern "C" {
#endif


#ifdef __cplusplus
}
#endif

#endif
