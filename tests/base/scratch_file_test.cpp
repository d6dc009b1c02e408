#include "base/scratch_file.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fresh_folder.h"
#include "support/catch.h"

using namespace sparsify;

namespace {

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text.data(), text.size())); }

/// $TMPDIR is another one while it lives.
struct Temporary {
  explicit Temporary(const std::string& folder) : before(std::getenv("TMPDIR") == nullptr ? "" : std::getenv("TMPDIR")) { ::setenv("TMPDIR", folder.c_str(), 1); }
  ~Temporary() {
    if (before.empty()) ::unsetenv("TMPDIR");
    else ::setenv("TMPDIR", before.c_str(), 1);
  }
  std::string before;
};

}  // namespace

TEST_CASE("a scratch file gives back what was put there and leaves no name", "[base][scratch]") {
  const Folder folder;
  const Temporary temporary(folder.path.string());
  ScratchFile file;
  const int64_t first = file.put(bytes_of("pruned"));
  const int64_t second = file.put(bytes_of("networks"));
  CHECK(folder.files() == 0);
  file.free(first, 6);
  std::string back(8, ' ');
  file.get(second, std::as_writable_bytes(std::span(back.data(), back.size())));
  CHECK(back == "networks");
}

TEST_CASE("a scratch file that cannot be made or is too short says so", "[base][scratch]") {
  ScratchFile file;
  file.put(bytes_of("x"));
  std::array<std::byte, 4> more{};
  CHECK_THROWS_AS(file.get(0, more), ResourceError);
  const Folder folder;
  const Temporary temporary(folder.path.string());
  ScratchFile other;
  std::filesystem::permissions(folder.path, std::filesystem::perms::none);
  if (::geteuid() != 0) CHECK_THROWS_AS(other.put(bytes_of("x")), ResourceError);  // nothing is closed to root
  std::filesystem::permissions(folder.path, std::filesystem::perms::owner_all);
}
