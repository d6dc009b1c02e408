#include "sparsify/command.h"

#include <fmt/core.h>
#include <langinfo.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace sparsify {

int Context::width() const {
  constexpr int kUnlimited = 1 << 20;
  if (::isatty(STDOUT_FILENO) == 0) return kUnlimited;  // who reads it may look for a name
  const char* columns = std::getenv("COLUMNS");
  const int asked = columns == nullptr ? 0 : std::atoi(columns);
  if (asked > 0) return std::min(asked, kUnlimited);
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 120;
}

bool Context::colour() const {
  const char* no_color = std::getenv("NO_COLOR");
  return ::isatty(STDOUT_FILENO) != 0 && (no_color == nullptr || *no_color == '\0');
}

bool Context::utf8() const { return std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0; }

std::map<std::string, Shape> Context::shapes() const {
  std::map<std::string, Shape> shapes;
  for (const std::string& text : input_shapes) {
    const size_t colon = text.rfind(':');
    Shape shape;
    bool good = colon != std::string::npos && colon > 0 && colon + 1 < text.size();
    for (size_t at = colon + 1; good && at <= text.size();) {
      const size_t comma = std::min(text.find(',', at), text.size());
      char* end = nullptr;
      const std::string number = text.substr(at, comma - at);
      shape.push_back(std::strtoll(number.c_str(), &end, 10));
      good = !number.empty() && *end == '\0' && shape.back() > 0;
      at = comma + 1;
    }
    if (!good) {
      throw ConfigError{{.what = "\"" + text + "\" is no input shape", .where = "--input", .fix = "write NAME:1,3,224,224"}};
    }
    shapes[text.substr(0, colon)] = shape;
  }
  return shapes;
}

std::vector<Command>& commands() {
  static auto* list = new std::vector<Command>;
  return *list;
}

void add_input_option(CLI::App& app, Context& context) {
  app.add_option("--input", context.input_shapes, "shape of an input that the model leaves open, as NAME:1,3,224,224")
      ->type_name("NAME:SIZES")
      ->allow_extra_args(false);
}

void print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    if (errno == EPIPE) ::_exit(kDone);  // whoever reads has seen enough: `sparsify schema | head`
    const int cause = errno;
    const std::string what = fmt::format("the result cannot be written: {}", std::strerror(cause));
    if (cause == ENOSPC || cause == EDQUOT || cause == EFBIG) {
      throw ExhaustedError{{.what = what, .where = "stdout", .fix = "free some space, or redirect the output to another disk"}};
    }
    throw ResourceError{{.what = what, .where = "stdout", .fix = "check what the output is redirected to"}};
  }
}

}  // namespace sparsify
