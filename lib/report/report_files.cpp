#include <algorithm>
#include <array>
#include <filesystem>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/names.h"
#include "report/renderers.h"

namespace sparsify {
namespace {

struct Format {
  const char* name;
  const char* file;
  std::string (*render)(const RunReport&);
};

/// In the order of writing.
constexpr std::array<Format, 4> kFormats = {{{"html", "report.html", to_html},
                                             {"csv", "layers.csv", to_csv},
                                             {"junit", "junit.xml", to_junit},
                                             {"json", "report.json", to_json_text}}};

}  // namespace

std::vector<std::string> write_report(const RunReport& report, const std::string& folder,
                                      const std::vector<std::string>& formats, bool overwrite) {
  for (const std::string& name : formats) {
    const bool known = std::any_of(kFormats.begin(), kFormats.end(),
                                   [&](const Format& format) { return name == format.name; });
    if (!known) {
      throw ConfigError{{.what = "no report format is named \"" + name + "\"",
                         .where = "report.formats",
                         .fix = suggest(name, {"json", "html", "csv", "junit"})}};
    }
  }
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) {
    throw ResourceError{{.what = "the folder cannot be created: " + failure.message(),
                         .where = folder,
                         .fix = "choose an output in a folder that you may write to"}};
  }
  std::vector<std::pair<std::string, const Format*>> wanted;
  for (const Format& format : kFormats) {
    if (std::find(formats.begin(), formats.end(), format.name) == formats.end()) continue;
    wanted.emplace_back((std::filesystem::path(folder) / format.file).string(), &format);
    require_writable_output(wanted.back().first, overwrite);
  }
  std::vector<std::string> written;
  for (const auto& [path, format] : wanted) {
    write_file_atomically(path, format->render(report), overwrite);
    written.push_back(path);
  }
  return written;
}

}  // namespace sparsify
