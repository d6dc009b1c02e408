#include "structure/sample.h"

using namespace sparsify;

namespace {

/// An If around a hidden layer; `condition`: nodes that make c.
Structure with_condition(const std::string& condition, const std::string& taken = "e = Relu (h)", const std::string& skipped = "t = Identity (h)",
                         const std::string& stated = "e") {
  return analysed({.inputs = "float[n,3] x, bool go", .outputs = "float[n,2] y", .weights = {{"a", {3, 6}}, {"b", {6}}, {"d", {6, 2}}},
                   .nodes = "h = MatMul (x, a) " + condition + " i = If (c) <then_branch = graph () => (t) { " + skipped + " }, else_branch = graph () => (" + stated + ") { " +
                            taken + " }> y = MatMul (i, d)",
                   .constants = "int64 none = {0}, int64 six = {6}, bool no = {0}, int64[1] last = {1}"});
}

bool is_free(const Structure& s) { return group_of(s, "a", 1).is_cuttable() && members_of(group_of(s, "a", 1)) == "a:1 d:0"; }

}  // namespace

TEST_CASE("an If that every run decides alike is its branch", "[structure][branches]") {
  CHECK(is_free(with_condition("s = Shape (h) r = Size (s) c = Equal (r, none)")));  // a rank
  CHECK(is_free(with_condition("c = Identity (no)")) == false);                      // computed from a bool, which the analysis does not follow
  CHECK(is_free(analysed({.inputs = "float[n,3] x", .outputs = "float[n,2] y", .weights = {{"a", {3, 6}}, {"d", {6, 2}}},
                          .nodes = "h = MatMul (x, a) i = If (no) <then_branch = graph () => (t) { t = Identity (h) }, else_branch = graph () => (e) { e = Relu (h) }> y = MatMul (i, d)",
                          .constants = "bool no = {0}"})));
}

TEST_CASE("an If that a run decides holds what goes in and out", "[structure][branches]") {
  CHECK_FALSE(is_free(with_condition("c = Identity (go)")));
  // The number of rows is left to the run, although the analysis assumes one.
  CHECK_FALSE(is_free(with_condition("s = Shape (x) r = Gather (s, none) c = Equal (r, none)")));
  // The width that would be cut is what decides.
  CHECK_FALSE(is_free(with_condition("s = Shape (h) r = Gather (s, last) q = Squeeze (r) p = Sub (q, six) o = Equal (p, none) c = Not (o)")));
}

TEST_CASE("what stands inside a taken branch is not rewritten: weights, sizes and stated shapes hold their axes", "[structure][branches]") {
  const std::string rank = "s = Shape (h) r = Size (s) c = Equal (r, none)";
  CHECK_FALSE(is_free(with_condition(rank, "e = Add (h, b)")));
  CHECK_FALSE(is_free(with_condition(rank, "k = Constant <value_ints = [-1, 6]> () e = Reshape (h, k)")));
  CHECK_FALSE(is_free(with_condition(rank, "e = Relu (h)", "t = Identity (h)", "float[n,6] e")));
  // The other branch would state a size that is wrong after the cut.
  CHECK_FALSE(is_free(with_condition(rank, "e = Relu (h)", "k = Constant <value_ints = [-1, 6]> () t = Reshape (h, k)")));
}
