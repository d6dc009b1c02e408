// Texts in a column of a TSV file, as in GLUE: they become the ids of a vocabulary, cut and filled up to one length.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "data/dataset.h"
#include "data/files.h"
#include "data/rows.h"
#include "data/label_source.h"
#include "data/source_files.h"
#include "data/text/token_row.h"
#include "data/text/tokenizer.h"
#include "data/text/tsv_table.h"

namespace sparsify {
namespace {

constexpr int64_t kDefaultLength = 128;

/// What an input is fed with.
enum class Role { Ids, Mask, Types };

/// By the names that exporters use; TensorFlow's end in `:0`.
std::optional<Role> role_of(std::string name) {
  name = name.substr(0, name.rfind(':'));
  if (name == "input_ids") return Role::Ids;
  if (name == "attention_mask" || name == "input_mask") return Role::Mask;
  if (name == "token_type_ids" || name == "segment_ids") return Role::Types;
  return std::nullopt;
}

bool is_integer_type(DType type) { return type == DType::Int64 || type == DType::Int32 || type == DType::Undefined; }

std::optional<double> number_in(std::string_view field) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || end != field.data() + field.size()) return std::nullopt;
  return value;
}

bool is_integer(std::string_view field) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  return error == std::errc{} && end == field.data() + field.size();
}

class TsvText final : public Dataset, public FileSource, public LabelSource {
 public:
  explicit TsvText(const Options& options)
      : text_(options.texts("text", {},
                            "column of the texts, or a list of two for pairs; by default sentence, text, sentence1 and sentence2, "
                            "question1 and question2, question and sentence, premise and hypothesis: the one that is there")),
        text_where_(options.where("text")),
        label_(options.optional_text("label", "column of the labels: class indices, or values to predict; none: no labels; by default "
                                              "label, where there is such a column")),
        label_where_(options.where("label")),
        classes_(options.texts("label_names", {}, "texts that stand for the class indices 0, 1, ... in the column of the labels")),
        target_(options.choice("target", "auto", {"auto", "class", "value"},
                               "what labels are: class indices or values to predict; auto: classes if all are integers")),
        max_length_(options.optional_integer("max_length", {.min = 3, .max = 1 << 20},
                                             "ids a text gets, marks included: cut or filled up to it; by default the model's, else 128")),
        length_where_(options.where("max_length")),
        lowercase_(options.flag("lowercase", true, "of vocab.txt: lower case without accents, as BERT's uncased models want it")),
        vocabulary_(options.optional_text("vocabulary", "required: vocab.txt (WordPiece, as BERT's), or SentencePiece's .model").value_or("")),
        path_(file_of_split(options, ".tsv", {"dev", "validation"})) {
    if (text_.size() > 2) {
      throw ConfigError{{.what = fmt::format("text names {} columns", text_.size()),
                         .where = text_where_,
                         .fix = "name one column, or two for pairs"}};
    }
    if (vocabulary_.empty()) {
      throw ConfigError{{.what = "vocabulary is not given",
                         .where = options.where("vocabulary"),
                         .fix = "set vocabulary: FILE to the model's vocab.txt or SentencePiece .model"}};
    }
    tokenizer_ = open_tokenizer(vocabulary_, lowercase_, options.where("vocabulary"));
  }

  void bind(const InputSignature& signature, uint64_t) override {
    find_roles(signature);
    table_.emplace(path_);
    find_texts();
    find_labels();
    decide_length(signature);
  }

  std::vector<ArrayInfo> arrays() const override {
    std::vector<ArrayInfo> infos;
    for (const Feed& feed : feeds_) infos.push_back({feed.name, feed.type, {length_}});
    return infos;
  }
  int64_t size() const override { return table_->size(); }
  bool has_labels() const override { return !labels_.empty(); }
  std::vector<std::string> files() const override { return {path_.string(), vocabulary_}; }
  std::string describe() const override { return "tsv_text " + path_.string(); }
  std::string place(int64_t index) const override { return fmt::format("{}, record {}", table_->place(index), index); }

  Sample read(int64_t index) const override {
    std::vector<int64_t> first = tokenizer_->encode(table_->field(index, columns_[0]));
    std::optional<std::vector<int64_t>> second;
    if (columns_.size() > 1) second = tokenizer_->encode(table_->field(index, columns_[1]));
    const TokenRow row = make_row(std::move(first), std::move(second), tokenizer_->marks(), length_);
    Sample sample;
    for (const Feed& feed : feeds_) {
      const std::vector<int64_t>& values = feed.role == Role::Ids ? row.ids : feed.role == Role::Mask ? row.mask : row.types;
      sample.inputs.push_back(feed.type == DType::Int32 ? HostTensor::of<int32_t>(feed.type, {length_}, {values.begin(), values.end()})
                                                        : HostTensor::of<int64_t>(feed.type, {length_}, values));
    }
    if (has_labels()) sample.label = label(index);
    return sample;
  }
  HostTensor label(int64_t index) const override {
    const double value = labels_[static_cast<size_t>(index)];
    return is_class_ ? class_label(static_cast<int64_t>(value)) : HostTensor::of<float>(DType::Float32, {}, {static_cast<float>(value)});
  }

 private:
  struct Feed {
    std::string name;
    Role role;
    DType type;
  };

  void find_roles(const InputSignature& signature) {
    bool has_ids = false;
    for (const ValueInfo& input : signature) {
      std::optional<Role> role = role_of(input.name);
      const bool is_row = !input.shape || input.shape->size() == 2;
      if (!role && signature.size() == 1 && is_row && is_integer_type(input.type)) role = Role::Ids;
      if (!role) {
        throw ShapeError{{.what = fmt::format("a text gives nothing for the model's input \"{}\" ({})", input.name, input.signature()),
                          .where = describe(),
                          .fix = "name the model's inputs input_ids, attention_mask (or input_mask) and token_type_ids (or segment_ids), "
                                 "or use npz with an array for each input"}};
      }
      if (!is_row) {
        throw ShapeError{{.what = fmt::format("the model's input \"{}\" is {}, texts are [batch, ids]", input.name, input.signature()),
                          .where = describe(),
                          .fix = "use npz with an array for each input"}};
      }
      has_ids = has_ids || *role == Role::Ids;
      feeds_.push_back({input.name, *role, input.type == DType::Int32 ? DType::Int32 : DType::Int64});
    }
    if (has_ids) return;
    throw ShapeError{{.what = "the model has no input for the ids of the texts",
                      .where = describe(),
                      .fix = "name the input that takes them input_ids, or use npz with an array for each input"}};
  }

  std::optional<int64_t> column(const std::string& name) const {
    const auto found = std::ranges::find(table_->columns(), name);
    if (found == table_->columns().end()) return std::nullopt;
    return found - table_->columns().begin();
  }

  int64_t column_named(const std::string& name, const std::string& where) const {
    if (const auto found = column(name)) return *found;
    throw ConfigError{{.what = fmt::format("no column of {} is named \"{}\"", path_.string(), name),
                       .where = where,
                       .fix = suggest(name, table_->columns())}};
  }

  /// A pair counts before the columns that it consists of; what else could be a text beside it makes the choice the user's.
  std::vector<std::string> guessed_texts() const {
    static const std::vector<std::vector<std::string>> kKnown = {{"sentence1", "sentence2"}, {"question1", "question2"},
                                                                 {"question", "sentence"},   {"premise", "hypothesis"},
                                                                 {"sentence"},               {"text"}};
    std::vector<std::string> found;
    for (const auto& names : kKnown) {
      const bool is_there = std::ranges::all_of(names, [&](const std::string& name) { return column(name).has_value(); });
      const bool is_part = names.size() == 1 && std::ranges::find(found, names[0]) != found.end();
      if (!is_there || is_part) continue;
      if (!found.empty()) return {};
      found = names;
    }
    return found;
  }

  void find_texts() {
    if (text_.empty()) text_ = guessed_texts();
    if (text_.empty()) {
      throw ConfigError{{.what = fmt::format("which column of {} is the text is not clear: there are {}", path_.string(), join(table_->columns())),
                         .where = text_where_,
                         .fix = "set text: COLUMN, or text: [COLUMN, COLUMN] for pairs"}};
    }
    for (const std::string& name : text_) columns_.push_back(column_named(name, text_where_));
  }

  void find_labels() {
    std::optional<int64_t> at = column("label");
    if (label_) at = *label_ == "none" ? std::nullopt : std::optional(column_named(*label_, label_where_));
    if (!at) return;
    is_class_ = target_ != "value";
    labels_.reserve(static_cast<size_t>(table_->size()));
    for (int64_t record = 0; record < table_->size(); ++record) {
      const std::string_view field = table_->field(record, *at);
      if (target_ == "auto" && classes_.empty() && !is_integer(field)) is_class_ = false;
      labels_.push_back(label_in(field, record));
    }
  }

  double label_in(std::string_view field, int64_t record) const {
    const auto fail = [&](std::string fix) {
      throw ResourceError{{.what = fmt::format("the label is \"{}\", not {}", field,
                                               !classes_.empty()    ? "one of " + join(classes_)
                                               : target_ == "class" ? "a class index"
                                                                    : "a number"),
                           .where = table_->place(record),
                           .fix = std::move(fix)}};
    };
    if (!classes_.empty()) {
      const auto found = std::ranges::find(classes_, field);
      if (found == classes_.end()) fail("correct the line, or the key label_names");
      return static_cast<double>(found - classes_.begin());
    }
    const std::optional<double> value = number_in(field);
    if (!value || !std::isfinite(*value) || (target_ == "class" && !is_integer(field))) {
      fail("correct the line, set label: to another column or none, or label_names: to the names of the classes in their order");
    }
    return *value;
  }

  void decide_length(const InputSignature& signature) {
    std::optional<int64_t> fixed;
    for (const ValueInfo& input : signature) {
      const int64_t size = input.shape ? (*input.shape)[1].size : -1;
      if (size < 0) continue;
      if (fixed.value_or(size) != size) {
        throw ShapeError{{.what = fmt::format("the model's inputs take rows of {} and of {}", *fixed, size),
                          .where = describe(),
                          .fix = "use npz with an array for each input"}};
      }
      fixed = size;
    }
    if (fixed && max_length_.value_or(*fixed) != *fixed) {
      throw ConfigError{{.what = fmt::format("max_length is {}, the model takes rows of {}", *max_length_, *fixed),
                         .where = length_where_,
                         .fix = "remove max_length"}};
    }
    length_ = fixed.value_or(max_length_.value_or(kDefaultLength));
    const int64_t marks = count_marks(tokenizer_->marks(), columns_.size() > 1);
    if (length_ > marks) return;
    throw ShapeError{{.what = fmt::format("rows of {} leave no room for text: {} marks stand around it", length_, marks),
                      .where = describe(),
                      .fix = fixed ? "use another model" : "set max_length to more"}};
  }

  std::vector<std::string> text_;
  std::string text_where_;
  std::optional<std::string> label_;
  std::string label_where_;
  std::vector<std::string> classes_;
  std::string target_;
  std::optional<int64_t> max_length_;
  std::string length_where_;
  bool lowercase_;
  std::string vocabulary_;
  std::filesystem::path path_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::optional<TsvTable> table_;
  std::vector<Feed> feeds_;
  std::vector<int64_t> columns_;  ///< of the texts: one or two
  std::vector<double> labels_;    ///< of each record; empty: none
  bool is_class_ = true;
  int64_t length_ = 0;
};

const Register<Dataset, TsvText> entry{"tsv_text", "a column of texts (or two) in a TSV file, as ids of a vocabulary"};

}  // namespace
}  // namespace sparsify
