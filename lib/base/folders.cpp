#include "base/folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "base/disk_error.h"

namespace sparsify {

namespace fs = std::filesystem;

NewFolders::NewFolders(const std::string& folder) {
  std::error_code ignored;
  std::vector<fs::path> missing;
  for (fs::path at = folder; !at.empty() && !fs::exists(at, ignored); at = at.parent_path()) missing.push_back(at);
  int cause = missing.empty() && !fs::is_directory(folder, ignored) ? ENOTDIR : 0;
  for (auto at = missing.rbegin(); at != missing.rend() && cause == 0; ++at) {
    if (::mkdir(at->c_str(), 0777) == 0) {
      made_.push_back(at->string());
    } else if (errno != EEXIST) {  // another process may have made it meanwhile
      cause = errno;
    }
  }
  if (cause == 0) return;
  remove_empty();
  fail_to_write(folder, cause);
}

NewFolders::~NewFolders() { remove_empty(); }

void NewFolders::remove_empty() {
  for (auto at = made_.rbegin(); at != made_.rend(); ++at) ::rmdir(at->c_str());  // fails where something is in it
  made_.clear();
}

}  // namespace sparsify
