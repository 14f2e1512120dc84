// The headers as strict C++17.
#include <samsa.h>
#include <samsa_testing.h>
#include <samsa.hpp>

int main()
{
  return samsa_code_is_error(SAMSA_OK);
}
