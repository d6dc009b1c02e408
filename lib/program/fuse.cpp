// Convolutions with what follows them in one oneDNN kernel, for inference on the CPU: BatchNormalization goes into the
// weights, a residual Add and an activation into the kernel. Weights are packed once for the signature; results are in
// channels-last order, which these kernels are fastest with (measured: docs/results.md).
#include <ATen/TensorOperators.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "base/error.h"
#include "program/bfloat16.h"
#include "program/fuse_attention.h"
#include "program/fuse_linear.h"
#include "program/ops/window.h"
#include "program/schedule.h"

namespace sparsify {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using MaybeText = std::optional<std::string_view>;
using Convolve = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef, at::IntArrayRef,
                            at::IntArrayRef, int64_t, std::string_view, Scalars, MaybeText);
using ConvolveAndAdd = at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&,
                                  at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view,
                                  std::optional<at::Scalar>, MaybeText, Scalars, MaybeText);
using ConvolveOnto = at::Tensor&(at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef,
                                 at::IntArrayRef, at::IntArrayRef, int64_t, std::string_view, std::optional<at::Scalar>, MaybeText,
                                 Scalars, MaybeText);

/// A kernel that LibTorch registers without a public header; nothing where it was built without oneDNN.
template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> kernel_named(const char* name, const char* overload) {
  const auto found = c10::Dispatcher::singleton().findSchema({name, overload});
  if (!found) return std::nullopt;
  try {
    return found->typed<Signature>();
  } catch (const c10::Error&) {
    return std::nullopt;  // another LibTorch, another signature
  }
}

struct OneDnn {
  std::optional<c10::TypedOperatorHandle<Convolve>> convolve = kernel_named<Convolve>("mkldnn::_convolution_pointwise", "");
  std::optional<c10::TypedOperatorHandle<ConvolveAndAdd>> convolve_and_add =
      kernel_named<ConvolveAndAdd>("mkldnn::_convolution_pointwise", "binary");
  std::optional<c10::TypedOperatorHandle<ConvolveOnto>> convolve_onto =
      kernel_named<ConvolveOnto>("mkldnn::_convolution_pointwise_", "binary");
  std::optional<c10::OperatorHandle> pack = c10::Dispatcher::singleton().findSchema({"mkldnn::_reorder_convolution_weight", ""});

  bool complete() const { return convolve && convolve_and_add && convolve_onto && pack; }
};

const OneDnn& one_dnn() {
  static const OneDnn kernels;
  return kernels;
}

/// The weight in the order that the kernel wants for inputs of this shape.
at::Tensor packed(const at::Tensor& weight, const Window& window, int64_t group, const std::vector<int64_t>& shape) {
  std::vector<c10::IValue> stack{weight, window.begin, window.strides, window.dilations, group, shape};
  one_dnn().pack->callBoxed(stack);
  return stack.front().toTensor();
}

struct FusedConvolution {
  int input = -1;
  int other = -1;  ///< slot of the residual; -1: none
  int output = -1;
  bool other_ends = false;
  at::Tensor weight{};  ///< packed
  std::optional<at::Tensor> bias{};
  std::vector<int64_t> strides{};
  std::vector<int64_t> padding{};
  std::vector<int64_t> dilations{};
  int64_t group = 1;
  std::string activation = "none";
  std::vector<double> parameters{};
  bool bfloat16 = false;
};

class ConvolutionKernel final : public Kernel {
 public:
  explicit ConvolutionKernel(FusedConvolution what) : what_(std::move(what)) {}

  void run(Frame& frame) const override {
    const at::Tensor input = operand(frame, what_.input, what_.bfloat16);
    Scalars scalars;
    for (const double parameter : what_.parameters) scalars.push_back(at::Scalar(parameter));
    at::Tensor result;
    if (what_.other < 0) {
      result = one_dnn().convolve->call(input, what_.weight, what_.bias, what_.padding, what_.strides, what_.dilations, what_.group,
                                        what_.activation, scalars, MaybeText(""));
    } else {
      const MaybeText after = what_.activation == "none" ? MaybeText() : MaybeText(what_.activation);
      at::Tensor other = operand(frame, what_.other, what_.bfloat16);
      if (what_.other_ends && may_be_overwritten(other)) {
        one_dnn().convolve_onto->call(other, input, what_.weight, what_.bias, what_.padding, what_.strides, what_.dilations,
                                      what_.group, "add", at::Scalar(1.0), after, scalars, MaybeText(""));
        result = other;
      } else {
        result = one_dnn().convolve_and_add->call(input, other.contiguous(at::MemoryFormat::ChannelsLast), what_.weight, what_.bias,
                                                  what_.padding, what_.strides, what_.dilations, what_.group, "add", at::Scalar(1.0),
                                                  after, scalars, MaybeText(""));
      }
    }
    frame.slots[static_cast<size_t>(what_.output)] = result_of(result);
  }

  void inputs_end(const std::vector<int>& slots) override {
    what_.other_ends = what_.other != what_.input && std::find(slots.begin(), slots.end(), what_.other) != slots.end();
  }

 private:
  /// The frame and the local handle hold it, nobody else.
  static bool may_be_overwritten(const at::Tensor& other) {
    return other.use_count() == 2 && other.has_storage() && other.storage().use_count() == 1 && other.is_inference() &&
           other.is_contiguous(at::MemoryFormat::ChannelsLast);
  }

  FusedConvolution what_;
};

/// Reads a node's window while no input is there.
class NodeView final : public OpCall {
 public:
  explicit NodeView(const Step& step) {
    node_ = step.node;
    opset_ = step.opset;
  }
  std::vector<Value> run_subgraph(std::string_view, const std::vector<Value>&) override { return {}; }

 private:
  Value load_tensor(const StoredTensor&) const override { return {}; }
};

class Fuser {
 public:
  Fuser(Schedule& schedule, const Plan& plan, const Learned& learned, const std::vector<Value>& stored, const std::vector<bool>& keep, bool bfloat16)
      : schedule_(schedule), learned_(learned), bfloat16_(bfloat16) {
    for (size_t i = 0; i < plan.stored.size(); ++i) fixed_[plan.stored[i].first] = &stored[i];
    for (const auto& [slot, value] : plan.constants) fixed_[slot] = &value;
    for (const auto& [slot, value] : learned.made) fixed_[slot] = &value;
    readers_.resize(plan.slot_names.size());
    for (size_t i = 0; i < schedule.works.size(); ++i) {
      for (const int slot : schedule.works[i].reads) readers_[static_cast<size_t>(slot)].push_back(i);
    }
    pinned_.resize(plan.slot_names.size());
    for (const SlotRef ref : plan.outputs) {
      if (ref.depth == 0) pinned_[static_cast<size_t>(ref.index)] = true;
    }
    for (size_t slot = 0; slot < keep.size(); ++slot) pinned_[slot] = pinned_[slot] || keep[slot];
  }

  void run() {
    gone_.resize(schedule_.works.size());
    for (size_t i = 0; i < schedule_.works.size(); ++i) {
      if (is(i, "Conv") && one_dnn().complete()) fuse_convolution(i);
      if (is(i, "MatMul")) fuse_product(i);
    }
    const AttentionSearch search{.sole_reader = [this](int slot) { return sole_reader(slot); },
                                 .number = [this](const Step& step, size_t input) -> std::optional<double> {
                                   const auto value = fixed(step, input);
                                   return value && value->numel() == 1 ? std::optional(value->item<double>()) : std::nullopt;
                                 }};
    fuse_attention(schedule_, learned_, search, gone_, bfloat16_);
    std::vector<Work> left;
    for (size_t i = 0; i < schedule_.works.size(); ++i) {
      if (!gone_[i]) left.push_back(std::move(schedule_.works[i]));
    }
    schedule_.works = std::move(left);
    if (bfloat16_) round_weights();
  }

 private:
  bool is(size_t work, const char* op) const {
    return !gone_[work] && is_operator(schedule_.works[work], op);
  }

  /// The value of an input that is the same in every run, if it is a float32 tensor.
  std::optional<at::Tensor> fixed(const Step& step, size_t input) const {
    const auto found = fixed_.find(slot_of(step, input));
    if (found == fixed_.end() || !found->second->is_tensor() || found->second->type() != DType::Float32) return std::nullopt;
    return widened(*found->second).tensor();
  }

  const SlotKnowledge& known(int slot) const { return learned_.slots[static_cast<size_t>(slot)]; }

  /// The only work that reads a slot, if nothing else will see it.
  std::optional<size_t> sole_reader(int slot) const {
    const std::vector<size_t>& readers = readers_[static_cast<size_t>(slot)];
    if (pinned_[static_cast<size_t>(slot)] || readers.size() != 1) return std::nullopt;
    return readers.front();
  }

  void fuse_convolution(size_t index) {
    const Step& step = *schedule_.works[index].step;
    const int input = slot_of(step, 0);
    std::optional<at::Tensor> weight = fixed(step, 1);
    if (input < 0 || !weight || weight->dim() != 4 || known(input).shape.size() != 4 || known(input).type != at::kFloat ||
        (known(input).facts & kStaticShape) == 0 || step.outputs.front() < 0) {
      return;
    }
    std::optional<at::Tensor> bias;
    if (step.inputs.size() > 2 && step.inputs[2].index >= 0) {
      bias = fixed(step, 2);
      if (!bias) return;
    }
    const std::vector<int64_t>& shape = known(input).shape;
    const at::Tensor like = at::zeros({1}).expand(shape);
    const Window window = window_of(NodeView(step), like, weight->sizes().slice(2).vec());
    if (window.begin != window.end || std::any_of(window.begin.begin(), window.begin.end(), [](int64_t pad) { return pad < 0; })) return;

    FusedConvolution what{.input = input, .output = step.outputs.front(), .bfloat16 = bfloat16_ && multiplies(step, weight->sizes())};
    what.strides = window.strides;
    what.padding = window.begin;
    what.dilations = window.dilations;
    what.group = step.node->integer("group", 1);
    size_t last = index;
    const auto absorb = [&](size_t work, int output) {
      gone_[last] = true;
      last = work;
      what.output = output;
    };
    for (auto next = sole_reader(what.output); next; next = sole_reader(what.output)) {
      if (what.other >= 0 || must_be_float32(*next) || !fold_normalisation(*next, what.output, *weight, bias)) break;
      absorb(*next, schedule_.works[*next].step->outputs.front());
    }
    if (const auto next = sole_reader(what.output); next && is(*next, "Add") && !must_be_float32(*next)) {
      const Step& sum = *schedule_.works[*next].step;
      const int other = slot_of(sum, 0) == what.output ? slot_of(sum, 1) : slot_of(sum, 0);
      const bool one_precision = other >= 0 && (!what.bfloat16 || known(other).rounded);
      if (one_precision && sum.opset >= 7 && other != what.output && !fixed_.contains(other) && known(other).type == at::kFloat &&
          (known(other).facts & kStaticShape) != 0 && known(other).shape == known(what.output).shape) {
        what.other = other;
        absorb(*next, sum.outputs.front());
      }
    }
    if (const auto next = sole_reader(what.output)) {
      if (!must_be_float32(*next) && read_activation(*next, what)) absorb(*next, schedule_.works[*next].step->outputs.front());
    } else if (what.other < 0) {
      absorb_swish(what, last);
    }
    what.weight = packed(in_precision(weight->contiguous(), what.bfloat16), window, what.group, shape);
    if (bias) what.bias = in_precision(*bias, what.bfloat16);

    Work& work = schedule_.works[last];
    gone_[last] = false;
    work.step = &step;  // messages tell of the convolution
    work.reads = {what.input};
    if (what.other >= 0) work.reads.push_back(what.other);
    work.writes = {what.output};
    work.kernel = std::make_unique<ConvolutionKernel>(std::move(what));
    schedule_.reorders_layouts = true;
  }

  /// weight' = weight * scale / sqrt(variance + epsilon), bias' = (bias - mean) * the same + shift
  bool fold_normalisation(size_t work, int value, at::Tensor& weight, std::optional<at::Tensor>& bias) const {
    const Step& step = *schedule_.works[work].step;
    if (!is(work, "BatchNormalization") || slot_of(step, 0) != value || schedule_.works[work].writes.size() != 1) return false;
    if (step.node->integer("training_mode", 0) != 0 || step.node->integer("spatial", 1) == 0) return false;
    const auto scale = fixed(step, 1);
    const auto shift = fixed(step, 2);
    const auto mean = fixed(step, 3);
    const auto variance = fixed(step, 4);
    if (!scale || !shift || !mean || !variance) return false;
    const double epsilon = step.node->number("epsilon", 1e-5F);
    const at::Tensor factor = scale->to(at::kDouble) * at::rsqrt(variance->to(at::kDouble) + epsilon);
    const at::Tensor before = bias ? bias->to(at::kDouble) : at::zeros_like(factor);
    bias = ((before - mean->to(at::kDouble)) * factor + shift->to(at::kDouble)).to(at::kFloat);
    weight = (weight.to(at::kDouble) * factor.view({-1, 1, 1, 1})).to(at::kFloat);
    return true;
  }

  bool read_activation(size_t work, FusedConvolution& what) const {
    const Step& step = *schedule_.works[work].step;
    if (is(work, "Relu")) {
      what.activation = "relu";
      return true;
    }
    if (what.other >= 0) return false;
    if (is(work, "Sigmoid") || is(work, "Tanh") || is(work, "HardSwish")) {
      what.activation = is(work, "Sigmoid") ? "sigmoid" : is(work, "Tanh") ? "tanh" : "hardswish";
      return true;
    }
    if (is(work, "LeakyRelu")) {
      what.activation = "leaky_relu";
      what.parameters = {static_cast<double>(step.node->number("alpha", 0.01F))};
      return true;
    }
    if (is(work, "Clip") && slot_of(step, 0) == what.output) {
      std::optional<at::Tensor> low = fixed(step, 1);
      std::optional<at::Tensor> high = fixed(step, 2);
      if (step.opset < 11 || !low || !high || low->numel() != 1 || high->numel() != 1) return false;
      what.activation = "hardtanh";
      what.parameters = {low->item<double>(), high->item<double>()};
      return true;
    }
    return false;
  }

  /// x * Sigmoid(x), as exporters write SiLU.
  void absorb_swish(FusedConvolution& what, size_t& last) {
    const std::vector<size_t>& readers = readers_[static_cast<size_t>(what.output)];
    if (pinned_[static_cast<size_t>(what.output)] || readers.size() != 2) return;
    const size_t gate = readers[0];
    const size_t product = readers[1];
    if (!is(gate, "Sigmoid") || !is(product, "Mul") || must_be_float32(product) || sole_reader(schedule_.works[gate].writes.front()) != product) return;
    gone_[last] = true;
    gone_[gate] = true;
    last = product;
    what.output = schedule_.works[product].writes.front();
    what.activation = "swish";
  }

  /// MatMul and an Add of one number a column.
  void fuse_product(size_t index) {
    const Step& step = *schedule_.works[index].step;
    const int input = slot_of(step, 0);
    const auto weight = fixed(step, 1);
    if (input < 0 || !weight || weight->dim() != 2 || known(input).type != at::kFloat || known(input).shape.size() < 2) return;
    const auto next = sole_reader(step.outputs.front());
    if (!next || !is(*next, "Add") || must_be_float32(*next)) return;
    const Step& sum = *schedule_.works[*next].step;
    if (sum.opset < 7) return;
    const auto bias = fixed(sum, slot_of(sum, 0) == step.outputs.front() ? 1 : 0);
    if (!bias || bias->dim() != 1 || bias->size(0) != weight->size(1)) return;
    Work& work = schedule_.works[*next];
    gone_[index] = true;
    work.step = &step;
    work.reads = {input};
    work.kernel = make_linear_kernel(input, work.writes.front(), *weight, *bias, bfloat16_);
  }

  static bool multiplies(const Step& step, at::IntArrayRef weight) { return bfloat16_part(*step.node, weight) == Bfloat16Part::Multiplies; }

  /// What follows a product and is handed out is float32, as it is node by node.
  bool must_be_float32(size_t work) const {
    const std::vector<int>& writes = schedule_.works[work].writes;
    return bfloat16_ && std::any_of(writes.begin(), writes.end(), [this](int slot) { return pinned_[static_cast<size_t>(slot)]; });
  }

  /// What only products read is rounded once for the signature.
  void round_weights() {
    std::map<int, bool> only_products;
    for (const Work& work : schedule_.works) {
      const int weight = slot_of(*work.step, 1);
      const bool rounds = !work.kernel && work.step->subplans.empty() && multiplies(*work.step, weight < 0 ? at::IntArrayRef() : known(weight).shape);
      for (const int slot : work.reads) {
        const auto [entry, fresh] = only_products.try_emplace(slot, rounds);
        if (!fresh) entry->second = entry->second && rounds;
      }
    }
    for (const auto& [slot, value] : fixed_) {
      const auto found = only_products.find(slot);
      if (found == only_products.end() || !found->second || pinned_[static_cast<size_t>(slot)]) continue;
      if (value->is_tensor() && value->type() == DType::Float32 && !value->is_rounded()) {
        schedule_.values.emplace_back(slot, Value::of_rounded(value->tensor().to(at::kBFloat16)));
      }
    }
  }

  Schedule& schedule_;
  const Learned& learned_;
  std::map<int, const Value*> fixed_;
  std::vector<std::vector<size_t>> readers_;  ///< per slot: works
  std::vector<bool> pinned_;                  ///< per slot: an output or a tap
  std::vector<bool> gone_;                    ///< per work
  bool bfloat16_;
};

}  // namespace

void fuse(Schedule& schedule, const Plan& plan, const Learned& learned, const std::vector<Value>& stored,
          const std::vector<bool>& keep, bool bfloat16) {
  Fuser(schedule, plan, learned, stored, keep, bfloat16).run();
}

}  // namespace sparsify
