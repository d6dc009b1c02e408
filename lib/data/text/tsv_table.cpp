#include "data/text/tsv_table.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/error.h"
#include "data/files.h"
#include "data/text/bert_words.h"

namespace sparsify {

TsvTable::TsvTable(std::filesystem::path path) : path_(std::move(path)) {
  const auto fail = [&](int64_t line, std::string what, std::string fix) {
    throw ResourceError{{.what = std::move(what), .where = fmt::format("{}:{}", path_.string(), line), .fix = std::move(fix)}};
  };
  const std::vector<std::byte> bytes = read_file(path_);
  text_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  size_t begin = text_.starts_with("\xEF\xBB\xBF") ? 3 : 0;
  for (int64_t line = 1; begin < text_.size(); ++line) {
    const size_t end = std::min(text_.find('\n', begin), text_.size());
    std::string_view content = std::string_view(text_).substr(begin, end - begin);
    if (content.ends_with('\r')) content.remove_suffix(1);
    if (!is_utf8(content)) fail(line, "the line is not UTF-8", "convert the file, as in iconv -f latin1 -t utf8");
    const auto fields = static_cast<size_t>(std::ranges::count(content, '\t')) + 1;
    if (columns_.empty()) {
      for (std::string_view rest = content;; rest.remove_prefix(columns_.back().size() + 1)) {
        columns_.emplace_back(rest.substr(0, rest.find('\t')));
        if (columns_.back().size() == rest.size()) break;
      }
    } else if (!content.empty() || columns_.size() == 1) {
      if (fields != columns_.size()) {
        fail(line, fmt::format("the line has {} columns, the first one has {}", fields, columns_.size()),
             "separate columns by single tabs; a text has no tab in it");
      }
      records_.push_back({begin, content.size(), line});
    }
    begin = end + 1;
  }
  if (columns_.empty()) fail(1, "the file is empty", "the first line names the columns, a record a line follows");
  if (records_.empty()) fail(1, "the file has no records", "put a record a line below the names of the columns");
}

std::string_view TsvTable::field(int64_t record, int64_t column) const {
  const Record& place = records_[static_cast<size_t>(record)];
  std::string_view rest = std::string_view(text_).substr(place.begin, place.size);
  for (; column > 0; --column) rest.remove_prefix(rest.find('\t') + 1);
  return rest.substr(0, rest.find('\t'));
}

std::string TsvTable::place(int64_t record) const {
  return fmt::format("{}:{}", path_.string(), records_[static_cast<size_t>(record)].line);
}

}  // namespace sparsify
