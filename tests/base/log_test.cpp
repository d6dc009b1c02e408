#include "base/log.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/child.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/module.h"
#include "support/catch.h"

using namespace sparsify;

TEST_CASE("the log file has every line as it was given, whatever the level", "[base][log]") {
  const std::string path = (std::filesystem::temp_directory_path() / "sparsify_log_test").string();
  CHECK(exit_code_in_child([&] {
          set_log_level(LogLevel::Quiet);
          set_log_file(path);
          log_line(LogLevel::Verbose, "layer {conv1} 100 %s");
          log_warning("{} tensors", 3);
          return 0;
        }) == 0);
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  CHECK_THAT(text.str(),
             Catch::Contains("layer {conv1} 100 %s\n") && Catch::Contains("warning 3 tensors\n"));
}

TEST_CASE("a log file that cannot be written is refused", "[base][log]") {
  CHECK_THROWS_AS(set_log_file("/dev/null/log"), ResourceError);
}

TEST_CASE("the first signal is polled, the second ends the program", "[base][interrupt]") {
  CHECK(exit_code_in_child([] {
          install_interrupt_handlers();
          check_interrupt();
          ::raise(SIGTERM);
          if (!interrupt_requested()) return 1;
          try {
            check_interrupt();
          } catch (const InterruptedError& e) {
            if (e.exit_code() != 130) return 2;
          }
          ::raise(SIGINT);
          return 3;
        }) == 130);
  CHECK_FALSE(interrupt_requested());
}

TEST_CASE("a module or plugin that is not there is named", "[base][module]") {
  CHECK_THROWS_WITH(load_module("nonsense"), Catch::Contains("libsparsify_nonsense.so"));
  CHECK_THROWS_AS(load_plugin("./nonsense.so"), ConfigError);
  CHECK_THROWS_WITH(load_plugin("libm.so.6/x"), Catch::Contains("fix:"));
}
