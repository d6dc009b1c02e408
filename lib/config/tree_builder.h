#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/setting.h"

namespace sparsify {

/// Turns the events of a parser into a Setting with marks; refuses duplicate keys, too deep and too
/// large trees. A value in a map gets the line of its key: that is where a reader looks for it.
class TreeBuilder {
 public:
  explicit TreeBuilder(std::string source) : source_(std::move(source)) {}

  /// A scalar, or a whole tree that keeps the marks inside it.
  void add(Setting value, int line);
  void open_list(int line) { open(Setting(Setting::List{}), line); }
  void open_map(int line) { open(Setting(Setting::Map{}), line); }
  /// The finished list or map; valid until the next call.
  const Setting& close();
  void key(std::string name, int line);

  /// True where the next scalar must be a key.
  bool expects_key() const;
  /// True when the root is finished.
  bool done() const { return done_; }
  Setting take() { return std::move(root_); }

  /// `file:line (prune.0.sparsity)`
  std::string where(int line) const;

 private:
  struct Level {
    Setting value;
    int line = 0;
    std::string key;
    bool has_key = false;
    int key_line = 0;
    std::map<std::string, int> lines;  // of the keys so far
  };

  void open(Setting value, int line);
  const Setting& place(Setting value, int line);

  std::string source_;
  std::vector<Level> levels_;
  Setting root_;
  bool done_ = false;
  size_t count_ = 0;
};

}  // namespace sparsify
