#pragma once

#include <fmt/format.h>

#include <random>
#include <string>
#include <vector>

namespace sparsify {

/// Graphs of [1, C, 4, 4] values: convolutions (grouped and depthwise too), sums, concatenations, splits, products with gates, and a
/// flattened end.
class RandomGraph {
 public:
  explicit RandomGraph(unsigned seed) : random_(seed) {
    values_ = {{"x", 3}};
    const int steps = 4 + pick(8);
    for (int i = 0; i < steps; ++i) step();
    const Value last = any();
    const int width = last.channels * 16;
    text_ += fmt::format(" flat = Flatten ({}) y = Gemm <transB = 1> (flat, {}, {})", last.name, weight({3, width}), weight({3}));
  }

  std::string text() const {
    return "<ir_version: 8, opset_import: [\"\": 17]> graph (float[1,3,4,4] x) => (float[1,3] y) <" + weights_ + "> {" + text_ + "}";
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
    switch (pick(8)) {
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
      default: text_ += fmt::format(" {} = {} ({})", fresh(from.channels), pick(2) == 0 ? "Relu" : "Sigmoid", from.name);
    }
  }

  std::mt19937 random_;
  std::vector<Value> values_;
  std::string text_;
  std::string weights_;
  int count_ = 0;
};

}  // namespace sparsify
