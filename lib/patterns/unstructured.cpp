// Unstructured: every weight stands alone.
#include "config/options.h"
#include "patterns/pattern.h"
#include "tensor/select.h"

namespace sparsify {
namespace {

class Unstructured final : public Pattern {
 public:
  explicit Unstructured(const Options&) {}

  std::string describe() const override { return "unstructured"; }

  int64_t units(const PrunableTensor& layer) const override { return layer.count(); }

  BitMask select(const PrunableTensor&, ScoreView scores, int64_t keep) const override {
    return select_highest(scores, keep);
  }
};

const Register<Pattern, Unstructured> entry{"unstructured", "any weight; fewest losses, gains only where sparse kernels run"};

}  // namespace
}  // namespace sparsify
