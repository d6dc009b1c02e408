// Takes the name of a built-in criterion: `--plugin` must refuse it.
#include "sparsify_plugin.h"

namespace {

using namespace sparsify;

class Impostor final : public Criterion {
 public:
  explicit Impostor(const Options&) {}
  void score(const PrunableTensor&, std::span<const float>, const LayerEvidence&, std::span<float> scores) const override {
    for (float& score : scores) score = 0;
  }
};

const RegisterPlugin<Criterion, Impostor> entry{"magnitude", "not what it says"};

}  // namespace

SPARSIFY_PLUGIN()
