#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace sparsify {

/// A TSV file in memory: a line with the names of the columns, then a record a line. Fields are what stands between tabs;
/// there are no quotes or escapes, as in GLUE's files. Empty lines are left out where there are several columns.
class TsvTable {
 public:
  /// throws ResourceError naming file and line for an empty file, a line with more or fewer fields than the first, and bytes
  /// that are not UTF-8
  explicit TsvTable(std::filesystem::path path);

  const std::vector<std::string>& columns() const { return columns_; }
  int64_t size() const { return static_cast<int64_t>(records_.size()); }
  std::string_view field(int64_t record, int64_t column) const;
  /// `data/dev.tsv:17`
  std::string place(int64_t record) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  struct Record {
    size_t begin = 0;  ///< bytes of text_
    size_t size = 0;
    int64_t line = 0;  ///< from 1
  };

  std::filesystem::path path_;
  std::string text_;
  std::vector<std::string> columns_;
  std::vector<Record> records_;
};

}  // namespace sparsify
