#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <string_view>

#include "base/error.h"
#include "config/scalar.h"
#include "config/tree_builder.h"

namespace sparsify {
namespace {

int line_of(const YAML::Mark& mark) { return mark.line + 1; }

int last_line(const std::string& text) {
  const auto ends = std::count(text.begin(), text.end(), '\n');
  return static_cast<int>(ends) + (text.ends_with('\n') ? 0 : 1);
}

class YamlEvents final : public YAML::EventHandler {
 public:
  explicit YamlEvents(TreeBuilder& tree, const std::string& source)
      : tree_(tree), source_(source) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!tree_.done()) return;
    throw ConfigError{{.what = "a second document starts here",
                       .where = Mark{source_, line_of(mark)}.text(),
                       .fix = "keep one document in a file: remove what follows `---`"}};
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (tree_.expects_key()) refuse_key(line_of(mark));
    finish(Setting{}, line_of(mark), anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const int line = line_of(mark);
    if (!tree_.expects_key()) {
      finish(tagged(tag, text, line), line, anchor);
      return;
    }
    if (anchor != YAML::NullAnchor) anchors_[anchor] = Setting(text);
    tree_.key(text, line);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const int line = line_of(mark);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw ConfigError{{.what = "an alias stands inside the value that it names",
                         .where = tree_.where(line),
                         .fix = "write the value out instead of the alias"}};
    }
    if (!tree_.expects_key()) {
      tree_.add(found->second, line);
    } else if (found->second.is_text()) {
      tree_.key(found->second.text(), line);
    } else {
      refuse_key(line);
    }
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (tree_.expects_key()) refuse_key(line_of(mark));
    open_anchors_.push_back(anchor);
    tree_.open_list(line_of(mark));
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string&, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (tree_.expects_key()) refuse_key(line_of(mark));
    open_anchors_.push_back(anchor);
    tree_.open_map(line_of(mark));
  }
  void OnMapEnd() override { close(); }

 private:
  void finish(Setting value, int line, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
    tree_.add(std::move(value), line);
  }

  void close() {
    const YAML::anchor_t anchor = open_anchors_.back();
    open_anchors_.pop_back();
    const Setting& value = tree_.close();
    if (anchor != YAML::NullAnchor) anchors_[anchor] = value;
  }

  /// yaml-cpp tags plain scalars `?` and quoted ones `!`.
  Setting tagged(const std::string& tag, const std::string& text, int line) const {
    constexpr const char* kCore = "tag:yaml.org,2002:";
    if (tag == "?" || tag.empty()) return typed_scalar(text);
    if (tag == "!" || tag == std::string(kCore) + "str") return Setting(text);
    const Setting value = typed_scalar(text);
    if (tag == std::string(kCore) + "int" && value.is_integer()) return value;
    if (tag == std::string(kCore) + "float" && value.is_number()) return Setting(value.number());
    if (tag == std::string(kCore) + "bool" && value.is_flag()) return value;
    if (tag == std::string(kCore) + "null" && value.is_null()) return value;
    throw ConfigError{{.what = fmt::format("the tag \"{}\" does not fit {}", tag, value.describe()),
                       .where = tree_.where(line),
                       .fix = "remove the tag"}};
  }

  [[noreturn]] void refuse_key(int line) const {
    throw ConfigError{{.what = "a key of a map is not text",
                       .where = tree_.where(line),
                       .fix = "write maps as `key: value`, with a space after the colon"}};
  }

  TreeBuilder& tree_;
  const std::string& source_;
  std::map<YAML::anchor_t, Setting> anchors_;
  std::vector<YAML::anchor_t> open_anchors_;
};

}  // namespace

Setting parse_yaml(const std::string& text, const std::string& source) {
  TreeBuilder tree(source);
  YamlEvents events(tree, source);
  try {
    // yaml-cpp 0.7 takes a quote that is still open at a final line end for closed, but not one at
    // a comment.
    const bool open_end =
        !text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos;
    std::istringstream stream(open_end ? text + "\n#" : text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(events)) {
    }
  } catch (const YAML::Exception& e) {
    const bool tab = e.msg.find("tab") != std::string::npos;
    throw ConfigError{
        {.what = fmt::format("the YAML does not parse at column {}: {}", e.mark.column + 1, e.msg),
         .where = tree.where(std::min(line_of(e.mark), last_line(text))),
         .fix =
             tab ? "indent with spaces"
                 : "check the indentation, brackets and quotes of this line and the one before"}};
  }
  return tree.take();
}

}  // namespace sparsify
