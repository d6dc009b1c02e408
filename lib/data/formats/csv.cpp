// Numeric tables: one record a line; a first line with text names the columns.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <string_view>

#include "data/dataset.h"
#include "data/files.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"

namespace sparsify {
namespace {

namespace fs = std::filesystem;

std::string_view trimmed(std::string_view field) {
  const auto is_edge = [](char c) { return c == ' ' || c == '\r' || c == '"'; };
  while (!field.empty() && is_edge(field.front())) field.remove_prefix(1);
  while (!field.empty() && is_edge(field.back())) field.remove_suffix(1);
  return field;
}

std::vector<std::string_view> split_fields(std::string_view line, char delimiter) {
  std::vector<std::string_view> fields;
  while (true) {
    const size_t end = line.find(delimiter);
    fields.push_back(trimmed(line.substr(0, end)));
    if (end == std::string_view::npos) return fields;
    line.remove_prefix(end + 1);
  }
}

/// NaN for what is no number.
double number_in(std::string_view field) {
  if (field.starts_with('+')) field.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size() ? value : std::nan("");
}

class Csv final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit Csv(const Options& options)
      : delimiter_(read_delimiter(options)),
        target_(options.choice("target", "auto", {"auto", "class", "value"},
                               "what labels are: class indices or values to predict; auto: classes "
                               "if all are integers")),
        label_(options.value(
            "label", "name or index of the label column, -1 the last (default); none: no labels")),
        label_where_(options.where("label")),
        path_(file_of_split(options, ".csv")) {}

  void bind(const InputSignature& signature, uint64_t) override {
    require_one_input(signature, describe());
    const std::vector<std::byte> bytes = read_file(path_);
    parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }

  std::vector<ArrayInfo> arrays() const override {
    return {{"columns", features_.type(), features_.row_shape()}};
  }
  int64_t size() const override { return features_.size(); }
  bool has_labels() const override { return label_column_ >= 0; }
  std::vector<std::string> files() const override { return {path_.string()}; }
  std::string describe() const override { return "csv " + path_.string(); }
  std::string place(int64_t index) const override {
    return fmt::format("{}:{}, record {}", path_.string(), lines_[index], index);
  }

  Sample read(int64_t index) const override {
    Sample sample;
    sample.inputs.push_back(features_.at(index));
    if (has_labels()) sample.label = label(index);
    return sample;
  }
  HostTensor label(int64_t index) const override {
    const double value = labels_[index];
    return is_class_ ? class_label(static_cast<int64_t>(value))
                     : HostTensor::of<float>(DType::Float32, {}, {static_cast<float>(value)});
  }

 private:
  static char read_delimiter(const Options& options) {
    const std::string text = options.text("delimiter", ",", "one character, or tab");
    if (text == "tab") return '\t';
    if (text.size() != 1) {
      throw ConfigError{{.what = fmt::format("delimiter is \"{}\"", text),
                         .where = options.where("delimiter"),
                         .fix = "give one character, or tab"}};
    }
    return text[0];
  }

  [[noreturn]] void fail(int64_t line, std::string what) const {
    throw ResourceError{
        {.what = std::move(what),
         .where = fmt::format("{}:{}", path_.string(), line),
         .fix = "correct the line; columns are numbers, separated as the key delimiter says"}};
  }

  void parse(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    std::vector<double> values;
    std::vector<std::string> names;
    int64_t columns = -1;
    for (int64_t line = 1; !text.empty(); ++line) {
      const size_t end = std::min(text.find('\n'), text.size());
      const std::string_view content = text.substr(0, end);
      text.remove_prefix(std::min(end + 1, text.size()));
      if (trimmed(content).empty()) continue;
      const std::vector<std::string_view> fields = split_fields(content, delimiter_);
      if (columns < 0) {
        columns = static_cast<int64_t>(fields.size());
        if (is_header(fields)) names.assign(fields.begin(), fields.end());
        find_label_column(names, columns);
        if (!names.empty()) continue;
      }
      if (static_cast<int64_t>(fields.size()) != columns) {
        fail(line, fmt::format("{} columns, the lines above have {}", fields.size(), columns));
      }
      for (int64_t column = 0; column < columns; ++column) {
        const double value = number_in(fields[column]);
        if (!std::isfinite(value)) {
          fail(line, fmt::format("column {} is \"{}\", not a finite number",
                                 names.empty() ? std::to_string(column) : '"' + names[column] + '"',
                                 fields[column]));
        }
        (column == label_column_ ? labels_ : values).push_back(value);
      }
      lines_.push_back(line);
    }
    if (lines_.empty()) fail(1, "the file has no records");
    const auto records = static_cast<int64_t>(lines_.size());
    features_ = Rows(HostTensor::of<double>(
        DType::Float64, {records, static_cast<int64_t>(values.size()) / records}, values));
    decide_target();
  }

  /// Some field is text that is not even a way to write a missing number.
  static bool is_header(const std::vector<std::string_view>& fields) {
    for (const std::string_view field : fields) {
      const bool is_missing = field.empty() || field == "nan" || field == "NaN" || field == "NA";
      double ignored = 0;
      const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), ignored);
      if (!is_missing && end != field.data() + field.size() && !field.starts_with('+')) return true;
    }
    return false;
  }

  void find_label_column(const std::vector<std::string>& names, int64_t columns) {
    const auto reject = [&](std::string what) {
      throw ConfigError{{.what = std::move(what),
                         .where = label_where_,
                         .fix = names.empty()
                                    ? fmt::format("give an index below {}, or none", columns)
                                    : suggest(label_.is_text() ? label_.text() : "", names)}};
    };
    if (label_.is_null() || label_.is_integer()) {
      const int64_t index = label_.is_null() ? -1 : label_.integer();
      label_column_ = index < 0 ? index + columns : index;
      if (label_column_ < 0 || label_column_ >= columns) {
        reject(fmt::format("label is {}, {} has {} columns", index, path_.string(), columns));
      }
    } else if (label_.is_text() && label_.text() != "none") {
      const auto found = std::find(names.begin(), names.end(), label_.text());
      if (found == names.end())
        reject(fmt::format("no column of {} is named \"{}\"", path_.string(), label_.text()));
      label_column_ = found - names.begin();
    } else if (!label_.is_text()) {
      reject(fmt::format("label is {}", label_.describe()));
    }
  }

  void decide_target() {
    for (size_t i = 0; i < labels_.size(); ++i) {
      if (labels_[i] == std::nearbyint(labels_[i]) && std::abs(labels_[i]) < 0x1p53) continue;
      if (target_ == "class")
        fail(lines_[i], fmt::format("the label is {}, not a class index", labels_[i]));
      is_class_ = false;
    }
    if (target_ == "value") is_class_ = false;
  }

  char delimiter_;
  std::string target_;
  Setting label_;
  std::string label_where_;
  fs::path path_;
  int64_t label_column_ = -1;
  bool is_class_ = true;
  Rows features_;
  std::vector<double> labels_;
  std::vector<int64_t> lines_;  ///< line of each record, from 1
};

const Register<Dataset, Csv> entry{
    "csv", "numeric columns, one of them the label; a header is recognised"};

}  // namespace
}  // namespace sparsify
