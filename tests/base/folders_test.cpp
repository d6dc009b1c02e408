#include "base/folders.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "base/disk_error.h"
#include "base/error.h"
#include "base/fresh_folder.h"
#include "support/catch.h"

using namespace sparsify;
namespace fs = std::filesystem;

TEST_CASE("folders stay where something is in them, and go where nothing is", "[base][folders]") {
  const Folder folder;
  {
    const NewFolders made((folder.path / "a" / "b" / "c").string());
    CHECK(fs::is_directory(folder.path / "a" / "b" / "c"));
    std::ofstream(folder.path / "a" / "file") << "x";
  }
  CHECK(fs::exists(folder.path / "a" / "file"));
  CHECK_FALSE(fs::exists(folder.path / "a" / "b"));
}

TEST_CASE("folders that were there stay", "[base][folders]") {
  const Folder folder;
  fs::create_directories(folder.path / "a");
  { const NewFolders made((folder.path / "a").string()); }
  CHECK(fs::is_directory(folder.path / "a"));
}

TEST_CASE("a folder below a file cannot be made", "[base][folders]") {
  const Folder folder;
  std::ofstream(folder.path / "file") << "x";
  for (const fs::path& path : {folder.path / "file", folder.path / "file" / "a"}) {
    try {
      const NewFolders made(path.string());
      FAIL("not refused");
    } catch (const ResourceError& e) {
      CHECK(e.problem().where == path.string());
      CHECK_THAT(e.problem().what, Catch::Contains("Not a directory"));
    }
  }
}

TEST_CASE("what is full is exhaustion, all else is the user's to mend", "[base][folders]") {
  for (const int cause : {ENOSPC, EDQUOT}) CHECK_THROWS_AS(fail_to_write("x", cause), ExhaustedError);
  for (const int cause : {EACCES, EROFS, EPERM}) CHECK_THROWS_AS(fail_to_write("x", cause), ResourceError);
}
