#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"
#include "config/setting.h"

namespace sparsify {
namespace {

constexpr size_t kMostBytes = size_t{64} << 20;

std::string read_text(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::string text;
  std::string buffer(1 << 16, '\0');
  ssize_t got = descriptor < 0 ? -1 : 0;
  while (descriptor >= 0 && text.size() <= kMostBytes &&
         (got = ::read(descriptor, buffer.data(), buffer.size())) > 0) {
    text.append(buffer, 0, static_cast<size_t>(got));
  }
  const int cause = errno;
  if (descriptor >= 0) ::close(descriptor);
  if (got < 0) {
    throw ConfigError{{.what = fmt::format("the file cannot be read: {}", std::strerror(cause)),
                       .where = path,
                       .fix = "name a YAML or JSON file that exists and that you may read"}};
  }
  if (text.size() > kMostBytes) {
    throw ConfigError{{.what = fmt::format("the file is larger than {} MiB", kMostBytes >> 20),
                       .where = path,
                       .fix = "name a recipe; weights and data belong into their own files"}};
  }
  return text;
}

}  // namespace

Setting read_yaml_file(const std::string& path) {
  const std::string text = read_text(path);
  return path.ends_with(".json") ? parse_json(text, path) : parse_yaml(text, path);
}

}  // namespace sparsify
