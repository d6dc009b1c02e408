// Attention heads; with grouped queries, a key-value head together with the query heads that it serves.
// Michel et al. 2019, "Are Sixteen Heads Really Better than One?", arXiv:1905.10650.
#include "patterns/structured.h"

namespace sparsify {
namespace {

class Head final : public StructuredPattern {
 public:
  explicit Head(const Options& options) : StructuredPattern("head", options) {}
};

const Register<Pattern, Head> entry{"head", "attention heads, removed from the graph (grouped queries: with their key-value head)"};

}  // namespace
}  // namespace sparsify
