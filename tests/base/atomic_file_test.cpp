#include "base/atomic_file.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/child.h"
#include "base/error.h"
#include "base/fresh_folder.h"
#include "base/interrupt.h"
#include "support/catch.h"

using namespace sparsify;
using Catch::Contains;

namespace fs = std::filesystem;

namespace {

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("a file appears at commit, with its digest", "[base][atomic_file]") {
  const Folder folder;
  AtomicFile file(folder / "out.txt", false);
  file.write("ab");
  file.write("c");
  CHECK_FALSE(fs::exists(folder / "out.txt"));
  CHECK(content(file.temporary_path()) == "abc");
  CHECK(file.size_bytes() == 3);
  CHECK(file.commit() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(content(folder / "out.txt") == "abc");
  CHECK(folder.files() == 1);
}

TEST_CASE("without commit nothing is left and the old file is intact", "[base][atomic_file]") {
  const Folder folder;
  write_file_atomically(folder / "out.txt", "old", false);
  {
    AtomicFile file(folder / "out.txt", true);
    file.write("new");
    CHECK(content(folder / "out.txt") == "old");
  }
  CHECK(content(folder / "out.txt") == "old");
  CHECK(folder.files() == 1);
  write_file_atomically(folder / "out.txt", "new", true);
  CHECK(content(folder / "out.txt") == "new");
}

TEST_CASE("an existing output needs overwrite", "[base][atomic_file]") {
  const Folder folder;
  write_file_atomically(folder / "out.txt", "old", false);
  try {
    require_writable_output(folder / "out.txt", false);
    FAIL("not refused");
  } catch (const ConfigError& e) {
    CHECK(e.problem().what == "the output exists");
    CHECK(e.problem().where == folder / "out.txt");
    CHECK_THAT(e.problem().fix, Contains("--overwrite"));
  }
  CHECK_THROWS_AS(AtomicFile(folder / "out.txt", false), ConfigError);
  CHECK_NOTHROW(require_writable_output(folder / "out.txt", true));
}

TEST_CASE("an output that appeared during the run is not replaced", "[base][atomic_file]") {
  const Folder folder;
  AtomicFile file(folder / "out.txt", false);
  file.write("ours");
  std::ofstream(folder / "out.txt") << "theirs";
  CHECK_THROWS_AS(file.commit(), ConfigError);
  CHECK(content(folder / "out.txt") == "theirs");
}

TEST_CASE("two writers of one name do not share their bytes", "[base][atomic_file]") {
  const Folder folder;
  AtomicFile one(folder / "out.txt", true);
  AtomicFile two(folder / "out.txt", true);
  one.write("one");
  two.write("second");
  one.commit();
  CHECK(content(folder / "out.txt") == "one");
  two.commit();
  CHECK(content(folder / "out.txt") == "second");
}

TEST_CASE("an output that is no file in a folder is refused", "[base][atomic_file]") {
  const Folder folder;
  CHECK_THROWS_AS(require_writable_output(folder / "missing/out.txt", false), ResourceError);
  CHECK_THROWS_AS(require_writable_output(folder.path.string(), true), ConfigError);
  CHECK_THROWS_AS(require_writable_output("/dev/null", true), ConfigError);
  CHECK_THROWS_AS(require_writable_output("/dev/null/out.txt", true), ResourceError);
  CHECK_THROWS_AS(AtomicFile("/proc/out.txt", false), ResourceError);
}

TEST_CASE("a full disk is exhaustion, leaves nothing and keeps the old file",
          "[base][atomic_file]") {
  const Folder folder;
  write_file_atomically(folder / "out.txt", "old", false);
  const int code = exit_code_in_child([&] {
    install_interrupt_handlers();  // without it, the signal would end the process
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    try {
      write_file_atomically(folder / "out.txt", std::string(10000, 'x'), true);
    } catch (const ExhaustedError& e) {
      return e.problem().what.find("the disk is full") == 0 &&
                     e.problem().where == folder / "out.txt"
                 ? 42
                 : 2;
    }
    return 1;
  });
  CHECK(code == 42);
  CHECK(content(folder / "out.txt") == "old");
  CHECK(folder.files() == 1);
}

TEST_CASE("a killed writer leaves the old file intact, and the next run writes",
          "[base][atomic_file]") {
  const Folder folder;
  write_file_atomically(folder / "out.txt", "old", false);
  CHECK(exit_code_in_child([&]() -> int {
          AtomicFile file(folder / "out.txt", true);
          file.write("half");
          ::raise(SIGKILL);
          return 0;
        }) == -SIGKILL);
  CHECK(content(folder / "out.txt") == "old");
  write_file_atomically(folder / "out.txt", "new", true);
  CHECK(content(folder / "out.txt") == "new");
}
