/* Wrong on purpose: shows that AddressSanitizer watches the library's memory. */
#include "check.h"

int main(void) {
    samsa_error *error = NULL;
    const char *message;

    CHECK(samsa_config_set(NULL, "a", "b", &error) == SAMSA_ERR_INVALID_HANDLE);
    message = samsa_error_message(error);
    samsa_error_free(error);
    printf("%c\n", message[0]);
    return 0;
}
