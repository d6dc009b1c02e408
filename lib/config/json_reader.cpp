#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "config/tree_builder.h"

namespace sparsify {
namespace {

/// Reads text for the JSON lexer and knows the line of the character that was read last. A number
/// ends only at the character behind it: a line feed therefore counts when the next character is
/// read.
struct LineCounter {
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = char;

  struct Position {
    int line = 1;
    bool pending = false;
  };

  const char* at = nullptr;
  Position* position = nullptr;

  char operator*() const {
    position->line += position->pending ? 1 : 0;
    position->pending = *at == '\n';
    return *at;
  }
  LineCounter& operator++() {
    ++at;
    return *this;
  }
  LineCounter operator++(int) {
    LineCounter before = *this;
    ++at;
    return before;
  }
  bool operator==(const LineCounter& other) const { return at == other.at; }
  bool operator!=(const LineCounter& other) const { return at != other.at; }
};

class JsonEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  JsonEvents(TreeBuilder& tree, const LineCounter::Position& position)
      : tree_(tree), position_(position) {}

  bool null() override { return add(Setting{}); }
  bool boolean(bool flag) override { return add(Setting(flag)); }
  bool number_integer(number_integer_t integer) override { return add(Setting(int64_t{integer})); }
  bool number_unsigned(number_unsigned_t integer) override {
    const bool fits = integer <= uint64_t{std::numeric_limits<int64_t>::max()};
    return add(fits ? Setting(static_cast<int64_t>(integer))
                    : Setting(static_cast<double>(integer)));
  }
  bool number_float(number_float_t number, const string_t&) override {
    return add(Setting(number));
  }
  bool string(string_t& text) override { return add(Setting(std::move(text))); }
  bool binary(binary_t&) override { return false; }
  bool start_object(size_t) override { return tree_.open_map(position_.line), true; }
  bool key(string_t& name) override { return tree_.key(name, position_.line), true; }
  bool end_object() override { return tree_.close(), true; }
  bool start_array(size_t) override { return tree_.open_list(position_.line), true; }
  bool end_array() override { return tree_.close(), true; }

  bool parse_error(size_t, const std::string& last, const nlohmann::json::exception& e) override {
    // `[json.exception.parse_error.101] parse error at line 1, column 9: syntax error ...`
    const std::string text = e.what();
    const size_t reason = text.find(": ");
    throw ConfigError{
        {.what = "the JSON does not parse: " +
                 (reason == std::string::npos ? text : text.substr(reason + 2)),
         .where = tree_.where(position_.line),
         .fix = last.empty()
                    ? "check the brackets, commas and quotes of this line and the one before"
                    : fmt::format("check what stands before and in `{}`", last)}};
  }

 private:
  bool add(Setting value) { return tree_.add(std::move(value), position_.line), true; }

  TreeBuilder& tree_;
  const LineCounter::Position& position_;
};

}  // namespace

Setting parse_json(const std::string& text, const std::string& source) {
  TreeBuilder tree(source);
  LineCounter::Position position;
  JsonEvents events(tree, position);
  const LineCounter first{text.data(), &position};
  const LineCounter last{text.data() + text.size(), &position};
  nlohmann::json::sax_parse(first, last, &events);
  return tree.take();
}

}  // namespace sparsify
