#include "structure/sample.h"

using namespace sparsify;

using Indices = std::vector<int64_t>;

namespace {

/// One block of attention over [1, 4, 6] with 2 heads of 3.
GraphSample attention(const std::string& between) {
  return {.inputs = "float[1,4,6] x", .outputs = "float[1,4,6] y",
          .weights = {{"q", {6, 6}}, {"k", {6, 6}}, {"v", {6, 6}}, {"o", {6, 6}}},
          .nodes = "a = MatMul (x, q) b = MatMul (x, k) c = MatMul (x, v)"
                   " a2 = Reshape (a, heads) b2 = Reshape (b, heads) c2 = Reshape (c, heads)"
                   " a3 = Transpose <perm = [0, 2, 1, 3]> (a2) b3 = Transpose <perm = [0, 2, 3, 1]> (b2) c3 = Transpose <perm = [0, 2, 1, 3]> (c2)"
                   " s = MatMul (a3, b3) p = " + between + " (s) z = MatMul (p, c3) z2 = Transpose <perm = [0, 2, 1, 3]> (z)"
                   " z3 = Reshape (z2, flat) y = MatMul (z3, o)",
          .constants = "int64[4] heads = {0, 0, 2, 3}, int64[3] flat = {0, 0, 6}"};
}

}  // namespace

TEST_CASE("attention has heads, a width of queries and keys, and a width of values", "[structure][attention]") {
  const Structure s = analysed(attention("Softmax"));
  const Group& heads = group_of(s, "q", 1, "head");
  CHECK(heads.units == 2);
  CHECK(heads.is_cuttable());
  CHECK(members_of(heads) == "k:1 o:0 q:1 v:1");
  CHECK(member_of(heads, "o", 0).indices[1] == Indices{3, 4, 5});
  const Group& width = group_of(s, "q", 1, "channel");
  CHECK(width.units == 3);
  CHECK(members_of(width) == "k:1 q:1");
  CHECK(member_of(width, "k", 1).indices[2] == Indices{2, 5});
  const Group& values = group_of(s, "v", 1, "channel");
  CHECK(members_of(values) == "o:0 v:1");

  const Removed head = without(s, heads, {0});
  CHECK(s.kept("a", 2, head) == Indices{3, 4, 5});
  CHECK(s.kept("a3", 1, head) == Indices{1});
  CHECK(s.kept("z3", 2, head) == Indices{3, 4, 5});
  for (const Count& count : s.counts()) {
    if (count.value == 2) CHECK(s.count(count, head) == 1);
    if (count.value == 3) CHECK(s.count(count, head) == 3);
    if (count.value == 6) CHECK(s.count(count, head) == 3);
  }
}

TEST_CASE("grouped queries: a key-value head goes with its query heads", "[structure][attention]") {
  // 4 query heads of 2, 2 key heads repeated twice.
  const Structure s = analysed({.inputs = "float[1,4,8] x", .outputs = "float[1,4,4,4] y",
                                .weights = {{"q", {8, 8}}, {"k", {8, 4}}},
                                .nodes = "a = MatMul (x, q) b = MatMul (x, k) a2 = Reshape (a, four) b2 = Reshape (b, two)"
                                         " a3 = Transpose <perm = [0, 2, 1, 3]> (a2) b3 = Transpose <perm = [0, 2, 3, 1]> (b2)"
                                         " b4 = Unsqueeze (b3, axis) b5 = Expand (b4, repeat) b6 = Reshape (b5, joined) s = MatMul (a3, b6)"
                                         " t = ReduceSum <keepdims = 1> (s, head) y = Expand (t, out)",
                                .constants = "int64[4] four = {1, 4, 4, 2}, int64[4] two = {1, 4, 2, 2}, int64[1] axis = {2},"
                                             " int64[5] repeat = {1, 2, 2, 2, 4}, int64[4] joined = {1, 4, 2, 4}, int64[1] head = {1},"
                                             " int64[4] out = {1, 4, 4, 4}"});
  const Group& heads = group_of(s, "k", 1, "head");
  CHECK(heads.units == 2);
  CHECK(member_of(heads, "k", 1).indices[1] == Indices{2, 3});
  CHECK(member_of(heads, "q", 1).indices[1] == Indices{4, 5, 6, 7});
}

TEST_CASE("the width of fused attention goes once its scale is stated", "[structure][attention]") {
  const auto sample = [](const std::string& attributes) {
    return GraphSample{.inputs = "float[1,4,6] x", .outputs = "float[1,4,6] y", .weights = {{"q", {6, 6}}, {"k", {6, 6}}, {"v", {6, 6}}},
                       .nodes = "a = MatMul (x, q) b = MatMul (x, k) c = MatMul (x, v) y = Attention <q_num_heads = 2, kv_num_heads = 2" + attributes + "> (a, b, c)",
                       .opset = 23};
  };
  const Structure s = analysed(sample(""));
  const Group& width = group_of(s, "q", 1, "channel");
  CHECK(width.units == 3);
  CHECK(width.is_cuttable());
  CHECK(members_of(width) == "k:1 q:1");
  REQUIRE(s.rescales().size() == 1);
  CHECK(s.rescales()[0].scale == Approx(0.57735));  // 1 / sqrt(3), whatever is left
  CHECK(s.share(s.rescales()[0], without(s, width, {0})) == Approx(2.0 / 3));
  CHECK(analysed(sample(", scale = 0.25")).rescales().empty());
}

TEST_CASE("sizes that the model's inputs state are constants, only the others are left open", "[structure][reshape]") {
  // Heads are split off in two steps with sizes taken from Shape, as PyTorch exports them; the width of a head is that of the stream / 2, which a mean holds.
  const auto sample = [](const std::string& time) {
    return GraphSample{.inputs = "float[N," + time + ",4] x", .outputs = "float[N," + time + ",2] y", .weights = {{"w0", {4, 8}}, {"w1", {8, 8}}, {"w2", {8, 2}}},
                       .nodes = "r0 = MatMul (x, w0) m = ReduceMean <axes = [2]> (r0) g = Sigmoid (r0) m2 = ReduceMean <axes = [2]> (g) d0 = Sub (r0, m) r = Sub (d0, m2)"
                                " s = Shape (r) n = Gather (s, zero) t = Gather (s, one) e = Gather (s, two) d = Div (e, two0) nh = Mul (n, two0)"
                                " q = MatMul (r, w1) qt = Transpose <perm = [1, 0, 2]> (q)"
                                " s1 = Concat <axis = 0> (t, nh, d) z = Reshape (qt, s1) zt = Transpose <perm = [1, 0, 2]> (z)"
                                " s2 = Concat <axis = 0> (n, two0, t, d) u = Reshape (zt, s2) v = Relu (u) vt = Transpose <perm = [0, 2, 1, 3]> (v)"
                                " s3 = Concat <axis = 0> (n, t, e) o = Reshape (vt, s3) y = MatMul (o, w2)",
                       .constants = "int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] two0 = {2}"};
  };
  const auto width_is_free = [](const Structure& s) {
    return std::any_of(s.groups().begin(), s.groups().end(), [](const Group& group) {
      return group.units == 4 && group.is_cuttable() && members_of(group) == "w1:1 w2:0";
    });
  };
  CHECK(width_is_free(analysed(sample("3"))));
  CHECK_FALSE(width_is_free(analysed(sample("T"))));  // two sizes of one Reshape are left to the run
  CHECK_FALSE(group_of(analysed(sample("3")), "w0", 1).is_cuttable());
}

TEST_CASE("a gated product merges both projections", "[structure][ffn]") {
  const Structure s = analysed({.inputs = "float[1,4,3] x", .outputs = "float[1,4,3] y",
                                .weights = {{"up", {3, 5}}, {"gate", {3, 5}}, {"down", {5, 3}}},
                                .nodes = "a = MatMul (x, up) b = MatMul (x, gate) c = Sigmoid (b) d = Mul (a, c) y = MatMul (d, down)"});
  CHECK(members_of(group_of(s, "up", 1)) == "down:0 gate:1 up:1");
}

TEST_CASE("a product of two activations needs zeros where channels went", "[structure][zero]") {
  const auto sample = [](const std::string& function) {
    return GraphSample{.inputs = "float[1,4,3] x", .outputs = "float[1,4,4] y",
                  .weights = {{"a", {3, 5}}, {"b", {3, 5}}},
                  .nodes = "h = MatMul (x, a) i = MatMul (x, b) f = " + function + " (h) g = " + function + " (i)"
                           " t = Transpose <perm = [0, 2, 1]> (g) y = MatMul (f, t)"};
  };
  CHECK(group_of(analysed(sample("Relu")), "a", 1).is_cuttable());
  const Structure shifted = analysed(sample("Sigmoid"));
  CHECK_FALSE(group_of(shifted, "a", 1).is_cuttable());
  CHECK(group_of(shifted, "a", 1).frozen.at(0).op == "MatMul");
}

TEST_CASE("hidden units of an LSTM take a row of every gate, a column of the recurrence and of what reads the state", "[structure][lstm]") {
  const Structure s = analysed({.inputs = "float[5,1,3] x", .outputs = "float[5,1,2] y",
                                .weights = {{"w", {1, 16, 3}}, {"r", {1, 16, 4}}, {"b", {1, 32}}, {"f", {4, 2}}},
                                .nodes = "h = LSTM <hidden_size = 4> (x, w, r, b) s = Squeeze (h, one) y = MatMul (s, f)",
                                .constants = "int64[1] one = {1}"});
  const Group& hidden = group_of(s, "r", 2);
  CHECK(hidden.units == 4);
  CHECK(members_of(hidden) == "b:1 f:0 r:1 r:2 w:1");
  CHECK(member_of(hidden, "w", 1).indices[1] == Indices{1, 5, 9, 13});
  REQUIRE(s.counts().size() == 1);
  CHECK(s.count(s.counts()[0], without(s, hidden, {0})) == 3);
}

TEST_CASE("a mean over channels that are zero when masked is rescaled, one over others holds them", "[structure][reduce]") {
  const auto sample = [](const std::string& between) {
    return GraphSample{.inputs = "float[1,4,3] x", .outputs = "float[1,4,1] y",
                       .weights = {{"a", {3, 5}}}, .nodes = "h = MatMul (x, a) r = " + between + " (h) y = ReduceMean <axes = [2]> (r)"};
  };
  const Structure s = analysed(sample("Relu"));
  const Group& group = group_of(s, "a", 1);
  CHECK(group.is_cuttable());
  REQUIRE(s.rescales().size() == 1);
  CHECK(s.share(s.rescales()[0], without(s, group, {0})) == Approx(0.8));
  CHECK_FALSE(group_of(analysed(sample("Sigmoid")), "a", 1).is_cuttable());
}

TEST_CASE("a zero is not the largest of channels of which none is below zero", "[structure][reduce]") {
  const auto sample = [](const std::string& between) {
    return GraphSample{.inputs = "float[1,4,3] x", .outputs = "float[1,4,1] y", .weights = {{"a", {3, 5}}, {"b", {3, 5}}},
                       .nodes = "h = MatMul (x, a) k = MatMul (x, b) g = Sigmoid (k) " + between + " y = ReduceMax <axes = [2]> (p)"};
  };
  CHECK(group_of(analysed(sample("r = Relu (h) p = Mul (r, g)")), "a", 1).is_cuttable());
  CHECK_FALSE(group_of(analysed(sample("p = Mul (h, g)")), "a", 1).is_cuttable());
  CHECK_FALSE(group_of(analysed(sample("r = Relu (h) p = Add (r, g)")), "a", 1).is_cuttable());  // not zero where it is masked
}
