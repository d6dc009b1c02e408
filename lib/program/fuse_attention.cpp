#include "program/fuse_attention.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>

#include <algorithm>
#include <map>

#include "program/bfloat16.h"

namespace sparsify {
namespace {

struct Attention {
  int query = -1;
  int key = -1;  ///< [B, H, D, L]: transposed, as the product reads it
  int value = -1;
  int output = -1;
  double scale = 1;
  bool bfloat16 = false;
};

class AttentionKernel final : public Kernel {
 public:
  explicit AttentionKernel(Attention what) : what_(what) {}

  void run(Frame& frame) const override {
    const at::Tensor query = operand(frame, what_.query, what_.bfloat16);
    const at::Tensor key = operand(frame, what_.key, what_.bfloat16).transpose(2, 3);
    const at::Tensor value = operand(frame, what_.value, what_.bfloat16);
    at::Tensor result;
    if (suits(query, key, value)) {
      result = at::scaled_dot_product_attention(query, key, value, std::nullopt, 0, false, what_.scale);
    } else {
      result = at::matmul(at::softmax(at::matmul(query * what_.scale, key.transpose(2, 3)), -1), value);
    }
    frame.slots[static_cast<size_t>(what_.output)] = result_of(result);
  }

 private:
  /// What LibTorch's kernel takes; for anything else it would go the long way with more passes than the nodes have.
  static bool suits(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
    return query.size(0) == key.size(0) && query.size(0) == value.size(0) && query.size(1) == key.size(1) && query.size(1) == value.size(1) &&
           query.size(3) == key.size(3) && query.size(3) == value.size(3) && query.size(2) > 0 && key.size(2) > 0 && query.size(3) > 0 &&
           query.stride(3) == 1 && key.stride(3) == 1 && value.stride(3) == 1;
  }

  Attention what_;
};

class Finder {
 public:
  Finder(Schedule& schedule, const Learned& learned, const AttentionSearch& search, std::vector<bool>& gone, bool bfloat16)
      : schedule_(schedule), learned_(learned), search_(search), gone_(gone), bfloat16_(bfloat16) {
    for (size_t i = 0; i < schedule.works.size(); ++i) {
      if (gone[i]) continue;
      for (const int slot : schedule.works[i].writes) writers_[slot] = i;
    }
  }

  void run() {
    for (size_t i = 0; i < schedule_.works.size(); ++i) {
      if (is(i, "Softmax")) fuse(i);
    }
  }

 private:
  bool is(size_t work, const char* op) const {
    return !gone_[work] && is_operator(schedule_.works[work], op);
  }

  bool is_batch_of_matrices(int slot) const {
    if (slot < 0) return false;
    const SlotKnowledge& known = learned_.slots[static_cast<size_t>(slot)];
    return known.type == at::kFloat && known.shape.size() == 4;
  }

  /// The work that makes a slot which only `reader` sees.
  std::optional<size_t> sole_writer(int slot, size_t reader) const {
    const auto found = writers_.find(slot);
    if (found == writers_.end() || search_.sole_reader(slot) != reader) return std::nullopt;
    return found->second;
  }

  /// Goes behind a product or quotient with one number, which goes into `scale`.
  int unscaled(int slot, size_t reader, double& scale, std::vector<size_t>& absorbed) const {
    const auto writer = sole_writer(slot, reader);
    if (!writer || (!is(*writer, "Mul") && !is(*writer, "Div"))) return slot;
    const Step& step = *schedule_.works[*writer].step;
    if (step.opset < 7) return slot;
    const bool divides = step.node->op_type == "Div";
    for (const size_t side : divides ? std::vector<size_t>{1} : std::vector<size_t>{0, 1}) {
      const std::optional<double> factor = search_.number(step, side);
      const int other = slot_of(step, 1 - side);
      if (!factor || !is_batch_of_matrices(other)) continue;
      scale = divides ? scale / *factor : scale * *factor;
      absorbed.push_back(*writer);
      return other;
    }
    return slot;
  }

  void fuse(size_t softmax) {
    const Step& step = *schedule_.works[softmax].step;
    const int scores = slot_of(step, 0);
    const int64_t axis = step.node->integer("axis", step.opset >= 13 ? -1 : 1);
    if (!is_batch_of_matrices(scores) || (axis != -1 && axis != 3)) return;
    const auto last = search_.sole_reader(step.outputs.front());
    if (!last || !is(*last, "MatMul") || slot_of(*schedule_.works[*last].step, 0) != step.outputs.front()) return;
    Attention what{.value = slot_of(*schedule_.works[*last].step, 1), .output = schedule_.works[*last].step->outputs.front(), .bfloat16 = bfloat16_};
    std::vector<size_t> absorbed{softmax};
    const int product_slot = unscaled(scores, softmax, what.scale, absorbed);
    const auto product = sole_writer(product_slot, absorbed.back());
    if (!product || !is(*product, "MatMul")) return;
    absorbed.push_back(*product);
    const Step& first = *schedule_.works[*product].step;
    what.query = unscaled(slot_of(first, 0), *product, what.scale, absorbed);
    what.key = unscaled(slot_of(first, 1), *product, what.scale, absorbed);
    for (const int slot : {what.query, what.key, what.value}) {
      if (!is_batch_of_matrices(slot)) return;
    }
    for (const size_t work : absorbed) gone_[work] = true;
    Work& work = schedule_.works[*last];
    work.reads = {what.query, what.key, what.value};
    work.kernel = std::make_unique<AttentionKernel>(what);
  }

  Schedule& schedule_;
  const Learned& learned_;
  const AttentionSearch& search_;
  std::vector<bool>& gone_;
  bool bfloat16_;
  std::map<int, size_t> writers_;
};

}  // namespace

void fuse_attention(Schedule& schedule, const Learned& learned, const AttentionSearch& search, std::vector<bool>& gone, bool bfloat16) {
  Finder(schedule, learned, search, gone, bfloat16).run();
}

}  // namespace sparsify
