#include "data/source_files.h"

#include <fmt/core.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "base/sha256.h"
#include "data/dataset.h"
#include "data/selection.h"

namespace sparsify {

std::vector<std::string> files_of_set(const std::string& name, const std::map<std::string, Setting>& sets) {
  const ResolvedSet set = resolve_set(name, sets);
  const Options options(set.keys, set.path);
  const std::string format = options.required_text("format", "how the data are stored");
  const std::unique_ptr<Dataset> dataset = Registry<Dataset>::instance().make(format, options);
  const auto* source = dynamic_cast<const FileSource*>(dataset.get());
  invariant(source != nullptr, "every data format names its files");
  return source->files();
}

std::string digest_of_files(const std::vector<std::string>& files, int64_t most_bytes) {
  std::vector<struct stat> found(files.size());
  int64_t bytes = 0;
  for (size_t i = 0; i < files.size(); ++i) {
    if (::stat(files[i].c_str(), &found[i]) != 0) {
      throw ResourceError{{.what = fmt::format("the file cannot be read: {}", std::strerror(errno)),
                           .where = files[i],
                           .fix = "leave the data where they are while they are used"}};
    }
    bytes += found[i].st_size;
  }
  Sha256 digest;
  for (size_t i = 0; i < files.size(); ++i) {
    const struct stat& info = found[i];
    const std::string text = fmt::format("{}\n{}\n", files[i],
                                         bytes <= most_bytes ? sha256_of_file(files[i])
                                                             : fmt::format("{} {}.{:09}", info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec));
    digest.update(std::as_bytes(std::span(text)));
  }
  return digest.finish();
}

}  // namespace sparsify
