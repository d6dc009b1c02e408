// Residual blocks: the output of a block is replaced by its shortcut and its nodes go.
// Veit et al. 2016, "Residual Networks Behave Like Ensembles of Relatively Shallow Networks", arXiv:1605.06431.
#include "patterns/structured.h"

namespace sparsify {
namespace {

class Layer final : public StructuredPattern {
 public:
  explicit Layer(const Options& options) : StructuredPattern("layer", options) {}
};

const Register<Pattern, Layer> entry{"layer", "whole residual blocks, replaced by their shortcut"};

}  // namespace
}  // namespace sparsify
