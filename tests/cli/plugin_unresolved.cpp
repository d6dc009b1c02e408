// Needs a function that no version of the program has.
#include "sparsify_plugin.h"

extern "C" int sparsify_function_of_the_future();
extern "C" int call_it() { return sparsify_function_of_the_future(); }

SPARSIFY_PLUGIN()
