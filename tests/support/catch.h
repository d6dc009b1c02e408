#pragma once

// Every test includes only this header for Catch2. LibTorch defines CHECK too; whichever header comes last wins, silently.
#if __has_include(<c10/util/Exception.h>)
#include <c10/util/Exception.h>
#include <c10/util/Logging.h>
#undef CHECK
#endif

#include <catch2/catch.hpp>
