#include "base/log.h"

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/child.h"
#include "base/error.h"
#include "base/fresh_folder.h"
#include "base/interrupt.h"
#include "base/log_file.h"
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

TEST_CASE("a log is continued, with what the run ended with", "[base][log]") {
  const Folder folder;
  const std::string path = folder / "run.log";
  for (const char* command : {"sparsify one", "sparsify two"}) {
    CHECK(exit_code_in_child([&] {
            set_log_file(path);
            note_in_log_file(command);
            note_failure_in_log_file("error: it broke\n   at: here");
            return 0;
          }) == 0);
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  CHECK_THAT(text.str(), Catch::Contains(" info sparsify one\n") && Catch::Contains(" info sparsify two\n") && Catch::Contains(" error it broke\n   at: here\n"));
}

TEST_CASE("a log file that cannot be written is refused, and no folder is made for it", "[base][log]") {
  const Folder folder;
  CHECK_THROWS_AS(set_log_file("/dev/null/log"), ResourceError);
  CHECK_THROWS_AS(set_log_file(folder / "new/run.log"), ResourceError);
  CHECK_FALSE(std::filesystem::exists(folder.path / "new"));
}

TEST_CASE("what is no log of this program is not written to", "[base][log]") {
  const Folder folder;
  const std::string model = folder / "m.bin";
  for (const std::string& content : {std::string("\x08\x08 a model"), std::string("2026-11-22 is a date"), std::string("2")}) {
    std::ofstream(model) << content;
    CHECK_THROWS_AS(set_log_file(model), ConfigError);
    CHECK(std::filesystem::file_size(model) == content.size());
  }
  CHECK_THROWS_AS(set_log_file(folder / "new.onnx"), ConfigError);
  CHECK_THROWS_AS(set_log_file(folder.path.string()), ConfigError);
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
