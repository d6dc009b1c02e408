#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace sparsify {

/// Graphs of [N, C, 4, 4] values: convolutions (grouped and depthwise too), sums, concatenations, splits, products with gates, shuffled
/// channels, attention over the 16 places (heads apart, or as one axis with the batch), root mean squares over channels, and a flattened end.
/// Every third graph leaves N open, in the others it is 1.
class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed), open_(seed % 3 == 0) {
    values_ = {{"x", 3}};
    const int steps = 4 + pick(8);
    for (int i = 0; i < steps; ++i) step();
    const Value last = any();
    const int width = last.channels * 16;
    text_ += fmt::format(" flat = Flatten ({}) y = Gemm <transB = 1> (flat, {}, {})", last.name, weight({3, width}), weight({3}));
  }

  std::string text() const {
    const char* batch = open_ ? "N" : "1";
    return fmt::format("<ir_version: 8, opset_import: [\"\": 17]> graph (float[{0},3,4,4] x) => (float[{0},3] y) <{1}> {{{2}}}", batch, weights_, text_);
  }

 private:
  struct Value {
    std::string name;
    int channels = 0;
  };

  int pick(int count) { return static_cast<int>(random_() % static_cast<unsigned>(count)); }
  Value any() { return values_[values_.size() - 1 - static_cast<size_t>(pick(static_cast<int>(std::min<size_t>(values_.size(), 4))))]; }

  std::string weight(const std::vector<int>& shape) {
    const std::string name = fmt::format("w{}", count_++);
    int elements = 1;
    for (const int size : shape) elements *= size;
    std::vector<std::string> numbers;
    for (int i = 0; i < elements; ++i) numbers.push_back(fmt::format("{:.3f}", std::uniform_real_distribution<float>(-0.5F, 0.5F)(random_)));
    weights_ += fmt::format("{}float[{}] {} = {{{}}}", weights_.empty() ? "" : ", ", fmt::join(shape, ","), name, fmt::join(numbers, ","));
    return name;
  }

  std::string integers(const std::vector<int>& values) {
    const std::string name = fmt::format("i{}", count_++);
    weights_ += fmt::format("{}int64[{}] {} = {{{}}}", weights_.empty() ? "" : ", ", values.size(), name, fmt::join(values, ","));
    return name;
  }

  /// Of a Reshape that keeps the axis.
  int batch() const { return open_ ? 0 : 1; }

  /// A node with a name of its own for its result.
  std::string node(const std::string& call) {
    const std::string name = fmt::format("n{}", count_++);
    text_ += fmt::format(" {} = {}", name, call);
    return name;
  }

  void shuffle(const Value& from) {
    const int half = from.channels / 2;
    const std::string apart = node(fmt::format("Reshape ({}, {})", from.name, integers({batch(), 2, half, 4, 4})));
    const std::string turned = node(fmt::format("Transpose <perm = [0, 2, 1, 3, 4]> ({})", apart));
    const std::string shape = integers({batch(), from.channels, 4, 4});
    text_ += fmt::format(" {} = Reshape ({}, {})", fresh(from.channels), turned, shape);
  }

  /// Queries, keys and values of the 16 places, heads apart, and the shortcut around it all.
  void attend(const Value& from) {
    const int heads = 1 + pick(3);
    const int width = 1 + pick(3);
    const std::string flat = node(fmt::format("Reshape ({}, {})", from.name, integers({batch(), from.channels, 16})));
    const std::string places = node(fmt::format("Transpose <perm = [0, 2, 1]> ({})", flat));
    const auto project = [&](const char* order) {
      const std::string product = node(fmt::format("MatMul ({}, {})", places, weight({from.channels, heads * width})));
      const std::string apart = node(fmt::format("Reshape ({}, {})", product, integers({batch(), 16, heads, width})));
      return node(fmt::format("Transpose <perm = [{}]> ({})", order, apart));
    };
    const std::string query = project("0, 2, 1, 3");
    const std::string key = project("0, 2, 3, 1");
    const std::string value = project("0, 2, 1, 3");
    const std::string shares = node(fmt::format("Softmax <axis = -1> ({})", node(fmt::format("MatMul ({}, {})", query, key))));
    const std::string seen = node(fmt::format("Transpose <perm = [0, 2, 1, 3]> ({})", node(fmt::format("MatMul ({}, {})", shares, value))));
    const std::string together = node(fmt::format("Reshape ({}, {})", seen, integers({batch(), 16, heads * width})));
    const std::string out = node(fmt::format("MatMul ({}, {})", together, weight({heads * width, from.channels})));
    const std::string back = node(fmt::format("Reshape ({}, {})", node(fmt::format("Transpose <perm = [0, 2, 1]> ({})", out)), integers({batch(), from.channels, 4, 4})));
    text_ += fmt::format(" {} = Add ({}, {})", fresh(from.channels), back, from.name);
  }

  /// The same as nn.MultiheadAttention is exported: [16, N, channels], with N * heads as one axis whose length the graph computes.
  void attend_in_one_axis(const Value& from) {
    const int heads = 2 + pick(2);
    const int width = 1 + pick(3);
    const std::string flat = node(fmt::format("Reshape ({}, {})", from.name, integers({batch(), from.channels, 16})));
    const std::string places = node(fmt::format("Transpose <perm = [2, 0, 1]> ({})", flat));
    const std::string samples = node(fmt::format("Gather <axis = 0> ({}, {})", node(fmt::format("Shape ({})", places)), integers({1})));
    const std::string together = node(fmt::format("Mul ({}, {})", samples, integers({heads})));
    const std::string apart = node(fmt::format("Concat <axis = 0> ({}, {}, {})", integers({16}), together, integers({width})));
    const auto project = [&](const char* order) {
      const std::string product = node(fmt::format("MatMul ({}, {})", places, weight({from.channels, heads * width})));
      return node(fmt::format("Transpose <perm = [{}]> ({})", order, node(fmt::format("Reshape ({}, {})", product, apart))));
    };
    const std::string query = project("1, 0, 2");
    const std::string key = project("1, 2, 0");
    const std::string value = project("1, 0, 2");
    const std::string shares = node(fmt::format("Softmax <axis = -1> ({})", node(fmt::format("MatMul ({}, {})", query, key))));
    const std::string seen = node(fmt::format("Transpose <perm = [1, 0, 2]> ({})", node(fmt::format("MatMul ({}, {})", shares, value))));
    const std::string joined = node(fmt::format("Concat <axis = 0> ({}, {}, {})", integers({16}), samples, integers({heads * width})));
    const std::string rows = node(fmt::format("Reshape ({}, {})", seen, joined));
    const std::string out = node(fmt::format("MatMul ({}, {})", rows, weight({heads * width, from.channels})));
    const std::string back = node(fmt::format("Reshape ({}, {})", node(fmt::format("Transpose <perm = [1, 2, 0]> ({})", out)), integers({batch(), from.channels, 4, 4})));
    text_ += fmt::format(" {} = Add ({}, {})", fresh(from.channels), back, from.name);
  }

  void normalise(const Value& from) {
    const std::string square = node(fmt::format("Mul ({}, {})", from.name, from.name));
    const std::string mean = node(fmt::format("ReduceMean <axes = [1]> ({})", square));
    const std::string one = weight({1});
    const std::string root = node(fmt::format("Sqrt ({})", node(fmt::format("Add ({}, {})", mean, node(fmt::format("Abs ({})", one))))));
    text_ += fmt::format(" {} = Div ({}, {})", fresh(from.channels), from.name, root);
  }

  std::string fresh(int channels) {
    values_.push_back({fmt::format("v{}", count_++), channels});
    return values_.back().name;
  }

  void convolve(const Value& from, int out, int group) {
    const std::string w = weight({out, from.channels / group, 1, 1});
    const std::string b = weight({out});
    const std::string name = fresh(out);
    text_ += fmt::format(" {} = Conv <group = {}> ({}, {}, {})", name, group, from.name, w, b);
  }

  void step() {
    const Value from = any();
    switch (pick(12)) {
      case 0: return convolve(from, 2 + pick(6), 1);
      case 1: return convolve(from, from.channels, from.channels);
      case 2: {
        if (from.channels % 2 != 0) return convolve(from, 4, 1);
        return convolve(from, 2 * (1 + pick(3)), 2);
      }
      case 3: {  // residual
        convolve(from, from.channels, 1);
        const std::string branch = values_.back().name;
        text_ += fmt::format(" {} = Add ({}, {})", fresh(from.channels), branch, from.name);
        return;
      }
      case 4: {
        const Value other = any();
        text_ += fmt::format(" {} = Concat <axis = 1> ({}, {})", fresh(from.channels + other.channels), from.name, other.name);
        return;
      }
      case 5: {
        if (from.channels % 2 != 0) return convolve(from, 6, 1);
        const std::string first = fresh(from.channels / 2);
        const std::string second = fresh(from.channels / 2);
        text_ += fmt::format(" {}, {} = Split <axis = 1> ({})", first, second, from.name);
        return;
      }
      case 6: {  // squeeze and excite
        const std::string pool = fmt::format("p{}", count_++);
        text_ += fmt::format(" {} = GlobalAveragePool ({})", pool, from.name);
        convolve({pool, from.channels}, from.channels, 1);
        const std::string gate = values_.back().name;
        values_.pop_back();
        text_ += fmt::format(" {}s = Sigmoid ({}) {} = Mul ({}, {}s)", gate, gate, fresh(from.channels), from.name, gate);
        return;
      }
      case 7:
        if (from.channels % 2 != 0) return convolve(from, 4, 1);
        return shuffle(from);
      case 8: return attend(from);
      case 9: return normalise(from);
      case 10: return attend_in_one_axis(from);
      default: text_ += fmt::format(" {} = {} ({})", fresh(from.channels), pick(2) == 0 ? "Relu" : "Sigmoid", from.name);
    }
  }

  std::mt19937 random_;
  bool open_;
  std::vector<Value> values_;
  std::string text_;
  std::string weights_;
  int count_ = 0;
};

}  // namespace sparsify
