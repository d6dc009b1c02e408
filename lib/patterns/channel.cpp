// Channels: a convolution output, a hidden unit, a gate of an MLP, with all weights coupled to them in other layers.
// Fang et al. 2023, "DepGraph: Towards Any Structural Pruning", arXiv:2301.12900.
#include "patterns/structured.h"

namespace sparsify {
namespace {

class Channel final : public StructuredPattern {
 public:
  explicit Channel(const Options& options) : StructuredPattern("channel", options) {}
};

const Register<Pattern, Channel> entry{"channel", "channels and hidden units, removed from the graph with all that is coupled to them"};

}  // namespace
}  // namespace sparsify
