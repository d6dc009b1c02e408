// Sums of squared inputs per column of a layer's matrix. For a convolution the columns of im2col are never built: summing x^2
// over the samples first leaves one map a channel, and a column's sum is the sum over the window that its kernel position slides over.
#include <ATen/TensorOperators.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/stack.h>
#include <fmt/core.h>

#include "evidence/gatherer.h"
#include "mask/matrix_layout.h"

namespace sparsify {
namespace {

bool is_convolution(const std::string& op) { return op == "Conv" || op == "FusedConv"; }

/// Padding of one spatial axis in front and behind, as Conv defines it.
std::pair<int64_t, int64_t> padding(const Node& node, size_t axis, size_t axes, int64_t size, int64_t kernel, int64_t stride, int64_t dilation) {
  const std::string automatic = node.text("auto_pad", "NOTSET");
  if (automatic == "VALID") return {0, 0};
  if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
    const int64_t outputs = (size + stride - 1) / stride;
    const int64_t total = std::max<int64_t>(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size);
    const int64_t less = total / 2;
    return automatic == "SAME_UPPER" ? std::pair{less, total - less} : std::pair{total - less, less};
  }
  const std::vector<int64_t> pads = node.integers("pads", std::vector<int64_t>(2 * axes, 0));
  return {pads.at(axis), pads.at(axis + axes)};
}

/// [C, spatial...] sums of squares -> [C, kernel...]
at::Tensor window_sums(const at::Tensor& squares, const Node& node, const std::vector<int64_t>& kernel) {
  const size_t axes = kernel.size();
  const std::vector<int64_t> strides = node.integers("strides", std::vector<int64_t>(axes, 1));
  const std::vector<int64_t> dilations = node.integers("dilations", std::vector<int64_t>(axes, 1));
  std::vector<int64_t> pads;  // the last axis first, as constant_pad_nd wants
  std::vector<int64_t> outputs(axes);
  for (size_t axis = axes; axis-- > 0;) {
    const int64_t size = squares.size(static_cast<int64_t>(axis) + 1);
    const auto [before, after] = padding(node, axis, axes, size, kernel[axis], strides[axis], dilations[axis]);
    pads.insert(pads.end(), {before, after});
    outputs[axis] = (size + before + after - dilations[axis] * (kernel[axis] - 1) - 1) / strides[axis] + 1;
  }
  const at::Tensor padded = at::constant_pad_nd(squares, pads, 0);
  std::vector<at::Tensor> sums;
  std::vector<int64_t> position(axes, 0);
  int64_t count = 1;
  for (const int64_t size : kernel) count *= size;
  for (int64_t k = 0; k < count; ++k) {
    int64_t rest = k;
    at::Tensor window = padded;
    for (size_t axis = axes; axis-- > 0;) {
      const int64_t start = rest % kernel[axis] * dilations[axis];
      rest /= kernel[axis];
      window = window.slice(static_cast<int64_t>(axis) + 1, start, start + (outputs[axis] - 1) * strides[axis] + 1, strides[axis]);
    }
    sums.push_back(window.reshape({window.size(0), -1}).sum(1));
  }
  std::vector<int64_t> shape = {squares.size(0)};
  shape.insert(shape.end(), kernel.begin(), kernel.end());
  return at::stack(sums, 1).reshape(shape);
}

class InputSquares final : public Gatherer {
 public:
  explicit InputSquares(const GatherTask& task) : task_(task), sums_(task.size()), problems_(task.size()) {
    for (size_t i = 0; i < task.size(); ++i) {
      if (!task.wants(i, Evidence::InputSquares)) continue;
      const LayerSurroundings& around = (*task.surroundings)[i];
      if (around.nested) problems_[i] = "used inside a loop or branch, where its inputs are not seen";
      if (around.uses.empty()) problems_[i] = "no node is known that multiplies it";
      for (const LayerUse& use : around.uses) {
        const std::string& op = use.node.op_type;
        const bool known = is_convolution(op) || op == "ConvTranspose" || op == "Gemm" || op == "MatMul" || op == "FusedMatMul" || op == "FusedGemm";
        if (!known || use.input.empty()) problems_[i] = fmt::format("the inputs of {} are not observed", op);
      }
    }
  }

  std::vector<std::string> taps() const override {
    std::vector<std::string> names;
    for_each_use([&](size_t, const LayerUse& use) { names.push_back(use.input); });
    return names;
  }

  void see(int, const Forward& forward) override {
    const at::NoGradGuard no_graph;
    for_each_use([&](size_t i, const LayerUse& use) {
      const at::Tensor input = real_samples(forward.result.taps.at(use.input).tensor().detach(), forward.batch);
      const at::Tensor columns = columns_of(i, use, input.to(at::kDouble).square());
      if (!columns.defined()) return;
      sums_[i] = sums_[i].defined() ? sums_[i] + columns : columns;
    });
  }

  void finish(std::vector<LayerEvidence>& layers) override {
    for (size_t i = 0; i < layers.size(); ++i) {
      if (!task_.wants(i, Evidence::InputSquares)) continue;
      if (!problems_[i].empty()) {
        layers[i].missing = problems_[i];
        continue;
      }
      layers[i].input_groups = sums_[i].size(0);
      layers[i].input_squares = to_doubles(sums_[i]);
    }
  }

 private:
  template <class Function>
  void for_each_use(const Function& function) const {
    for (size_t i = 0; i < task_.size(); ++i) {
      if (!task_.wants(i, Evidence::InputSquares) || !problems_[i].empty()) continue;
      for (const LayerUse& use : (*task_.surroundings)[i].uses) function(i, use);
    }
  }

  /// [groups, columns] in the order of MatrixLayout; undefined (with a problem noted) where the weight does not fit.
  at::Tensor columns_of(size_t i, const LayerUse& use, const at::Tensor& squares) {
    const PrunableTensor& layer = task_.layer(i);
    const MatrixLayout layout(layer);
    if (!is_convolution(use.node.op_type) && use.node.op_type != "ConvTranspose") {
      const int64_t axis = squares.dim() == 1 ? 0 : use.contracted_axis;
      const at::Tensor sums = squares.dim() == 1 ? squares : squares.movedim(axis, -1).reshape({-1, squares.size(axis)}).sum(0);
      if (sums.numel() == layout.columns) return sums.reshape({1, -1});
      problems_[i] = "a weight of more than two axes has no single list of inputs";
      return {};
    }
    if (use.axes.size() != layer.shape.size()) {
      problems_[i] = "the weight is reshaped in front of its convolution";
      return {};
    }
    std::vector<int64_t> kernel;
    for (size_t axis = 2; axis < use.axes.size(); ++axis) kernel.push_back(layer.shape[static_cast<size_t>(use.axes[axis])]);
    const at::Tensor maps = squares.sum(0);
    const bool transposed = use.node.op_type == "ConvTranspose";
    at::Tensor sums;  // [groups, inputs of a group, kernel...]
    if (transposed) {
      // Every input position meets every kernel position, up to what `pads` crops at the edges.
      std::vector<int64_t> shape = {1, maps.size(0)};
      for (size_t k = 0; k < kernel.size(); ++k) shape.push_back(1);
      sums = maps.reshape({maps.size(0), -1}).sum(1).reshape(shape);
      shape = {1, maps.size(0)};
      shape.insert(shape.end(), kernel.begin(), kernel.end());
      sums = sums.expand(shape);
    } else {
      sums = window_sums(maps, use.node, kernel);
      std::vector<int64_t> shape = {layer.groups, sums.size(0) / layer.groups};
      shape.insert(shape.end(), kernel.begin(), kernel.end());
      sums = sums.reshape(shape);
    }
    // From the node's order of axes (inputs, kernel) to the stored one without the output axis.
    std::vector<int64_t> order = {0};
    for (size_t stored = 0; stored < layer.shape.size(); ++stored) {
      for (size_t axis = 0; axis < use.axes.size(); ++axis) {
        if (use.axes[axis] != static_cast<int>(stored) || static_cast<int>(stored) == layer.output_axis) continue;
        order.push_back(axis < 2 ? 1 : static_cast<int64_t>(axis));
      }
    }
    return sums.permute(order).reshape({sums.size(0), -1}).contiguous();
  }

  GatherTask task_;
  std::vector<at::Tensor> sums_;
  std::vector<std::string> problems_;
};

}  // namespace

std::unique_ptr<Gatherer> gather_input_squares(const GatherTask& task) { return std::make_unique<InputSquares>(task); }

}  // namespace sparsify
