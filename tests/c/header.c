/* The headers alone, twice, as strict C11. */
#include <samsa.h>
#include <samsa.h>
#include <samsa_testing.h>
#include <samsa_testing.h>

int main(void) { return samsa_code_is_error(SAMSA_OK); }
