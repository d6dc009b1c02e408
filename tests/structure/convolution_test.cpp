#include "structure/sample.h"

using namespace sparsify;

using Indices = std::vector<int64_t>;

TEST_CASE("a chain of convolutions couples rows of one with columns of the next; the ends stay", "[structure][conv]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {4, 3, 3, 3}}, {"ab", {4}}, {"b", {2, 4, 3, 3}}},
                                .nodes = "h = Conv (x, a, ab) r = Relu (h) y = Conv (r, b)"});
  const Group& inner = group_of(s, "a", 0);
  CHECK(inner.units == 4);
  CHECK(inner.is_cuttable());
  CHECK(members_of(inner) == "a:0 ab:0 b:1");
  CHECK(member_of(inner, "a", 0).role == Role::Output);
  CHECK(member_of(inner, "b", 1).role == Role::Input);
  CHECK(member_of(inner, "ab", 0).role == Role::Vector);
  CHECK(member_of(inner, "b", 1).indices[2] == Indices{2});
  CHECK(inner.frozen.empty());

  const Group& image = group_of(s, "a", 1);
  CHECK_FALSE(image.is_cuttable());
  CHECK(image.frozen.at(0).op == "input");
  CHECK(group_of(s, "b", 0).frozen.at(0).op == "output");

  const Removed removed = without(s, inner, {1, 3});
  CHECK(s.kept("r", 1, removed) == Indices{0, 2});
  CHECK(s.kept("x", 1, removed) == Indices{0, 1, 2});
  CHECK_FALSE(s.empties(removed));
  CHECK(s.empties(without(s, inner, {0, 1, 2, 3})));
}

TEST_CASE("batch normalisation is cut along, its statistics without being masked", "[structure][norm]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {4, 3, 3, 3}}, {"g", {4}}, {"o", {4}}, {"m", {4}}, {"v", {4}}, {"b", {2, 4, 3, 3}}},
                                .nodes = "h = Conv (x, a) n = BatchNormalization (h, g, o, m, v) r = Relu (n) y = Conv (r, b)"});
  const Group& inner = group_of(s, "a", 0);
  CHECK(members_of(inner) == "a:0 b:1 g:0 m:0 o:0 v:0");
  CHECK(member_of(inner, "m", 0).role == Role::Passive);
  CHECK(member_of(inner, "v", 0).role == Role::Passive);
  CHECK(member_of(inner, "g", 0).role == Role::Vector);
}

TEST_CASE("a residual addition couples both branches", "[structure][add]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {4, 3, 1, 1}}, {"b", {6, 4, 1, 1}}, {"c", {4, 6, 1, 1}}, {"d", {2, 4, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = Conv (h, b) j = Conv (i, c) k = Add (h, j) y = Conv (k, d)"});
  CHECK(members_of(group_of(s, "a", 0)) == "a:0 b:1 c:0 d:1");
  CHECK(members_of(group_of(s, "b", 0)) == "b:0 c:1");
}

TEST_CASE("an option-A shortcut pads with channels that go with those they are added to", "[structure][pad]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {2, 3, 1, 1}}, {"b", {4, 2, 1, 1}}, {"c", {2, 4, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = Conv <strides = [2, 2]> (h, b)"
                                         " s = Slice (h, zeros, ends, axes, twos) p = Pad (s, pads) k = Add (i, p) y = Conv (k, c)",
                                .constants = "int64[2] zeros = {0, 0}, int64[2] ends = {100, 100}, int64[2] axes = {2, 3}, int64[2] twos = {2, 2},"
                                             " int64[8] pads = {0, 1, 0, 0, 0, 1, 0, 0}"});
  const Group& all = group_of(s, "b", 0);
  CHECK(all.units == 4);
  CHECK(members_of(all) == "a:0 b:0 b:1 c:1");
  // a's two channels are the middle two of b's four.
  CHECK(member_of(all, "a", 0).indices[0].size() + member_of(all, "a", 0).indices[1].size() + member_of(all, "a", 0).indices[2].size() +
            member_of(all, "a", 0).indices[3].size() == 2);
  size_t first = 0;
  while (member_of(all, "b", 0).indices[first] != Indices{0}) ++first;
  const Removed removed = without(s, all, {first});
  CHECK(s.kept("h", 1, removed) == Indices{0, 1});
  CHECK(s.kept("p", 1, removed) == Indices{1, 2, 3});
  // The pad in front, element 1, now adds no channel; the one behind, element 5, still one.
  for (const Count& count : s.counts()) {
    if (count.element == 1) CHECK(s.count(count, removed) == 0);
    if (count.element == 5) CHECK(s.count(count, removed) == 1);
  }
  CHECK(s.counts().size() == 2);
}

TEST_CASE("a depthwise convolution goes with its input, and so does its group attribute", "[structure][conv]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {4, 3, 1, 1}}, {"d", {4, 1, 3, 3}}, {"b", {2, 4, 3, 3}}},
                                .nodes = "h = Conv (x, a) i = Conv <group = 4> (h, d) y = Conv (i, b)"});
  const Group& inner = group_of(s, "a", 0);
  CHECK(members_of(inner) == "a:0 b:1 d:0");
  REQUIRE(s.counts().size() == 1);
  CHECK(s.counts()[0].attribute == "group");
  CHECK(s.count(s.counts()[0], without(s, inner, {2})) == 3);
}

TEST_CASE("of a grouped convolution whole groups go, or the same channel of every group", "[structure][conv]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {6, 3, 1, 1}}, {"g", {4, 3, 1, 1}}, {"b", {2, 4, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = Conv <group = 2> (h, g) y = Conv (i, b)"});
  // a's 6 channels are 2 groups x 3; g's 4 rows 2 groups x 2.
  const Group& within = group_of(s, "g", 1);
  CHECK(within.units == 3);
  CHECK(members_of(within) == "a:0 g:1");
  CHECK(member_of(within, "a", 0).indices[1] == Indices{1, 4});
  int64_t groups_of_two = 0;
  for (const Group& group : s.groups()) groups_of_two += group.is_cuttable() && group.units == 2 ? 1 : 0;
  CHECK(groups_of_two == 2);  // the groups themselves, and g's rows within
  const Removed removed = without(s, within, {1});
  CHECK(s.kept("h", 1, removed) == Indices{0, 2, 3, 5});
  CHECK(s.kept("i", 1, removed) == Indices{0, 1, 2, 3});
}

TEST_CASE("a transposed convolution has its inputs on axis 0", "[structure][conv]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {4, 3, 1, 1}}, {"t", {4, 5, 1, 1}}, {"b", {2, 5, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = ConvTranspose (h, t) y = Conv (i, b)"});
  CHECK(members_of(group_of(s, "a", 0)) == "a:0 t:0");
  CHECK(members_of(group_of(s, "t", 1)) == "b:1 t:1");
}

TEST_CASE("concatenated channels keep their own groups", "[structure][concat]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {2, 3, 1, 1}}, {"b", {3, 3, 1, 1}}, {"c", {2, 5, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = Conv (x, b) j = Concat <axis = 1> (h, i) y = Conv (j, c)"});
  CHECK(members_of(group_of(s, "a", 0)) == "a:0 c:1");
  CHECK(member_of(group_of(s, "b", 0), "c", 1).indices[0] == Indices{2});
  const Removed removed = without(s, group_of(s, "b", 0), {0});
  CHECK(s.kept("j", 1, removed) == Indices{0, 1, 3, 4});
}

TEST_CASE("flatten in front of a Gemm multiplies channels by positions", "[structure][flatten]") {
  const Structure s = analysed({.inputs = "float[1,3,2,2] x", .outputs = "float[1,5] y",
                                .weights = {{"a", {4, 3, 1, 1}}, {"f", {5, 16}}},
                                .nodes = "h = Conv (x, a) i = Flatten (h) y = Gemm <transB = 1> (i, f)"});
  const Group& inner = group_of(s, "a", 0);
  CHECK(members_of(inner) == "a:0 f:1");
  CHECK(member_of(inner, "f", 1).indices[1] == Indices{4, 5, 6, 7});
}

TEST_CASE("channel shuffle couples the channels that it brings together, exactly", "[structure][shuffle]") {
  const Structure s = analysed({.inputs = "float[1,3,4,4] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {6, 3, 1, 1}}, {"b", {2, 6, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = Reshape (h, apart) j = Transpose <perm = [0, 2, 1, 3, 4]> (i)"
                                         " k = Reshape (j, together) y = Conv (k, b)",
                                .constants = "int64[5] apart = {1, 2, 3, 4, 4}, int64[4] together = {1, 6, 4, 4}"});
  const Group* columns = nullptr;
  for (const Group& group : s.groups()) {
    if (group.is_cuttable() && group.units == 3) columns = &group;
  }
  REQUIRE(columns != nullptr);
  // Column 1 of (2, 3) is channels 1 and 4; behind the transposition it is channels 2 and 3.
  CHECK(member_of(*columns, "a", 0).indices[1] == Indices{1, 4});
  CHECK(member_of(*columns, "b", 1).indices[1] == Indices{2, 3});
  const Removed removed = without(s, *columns, {1});
  for (const Count& count : s.counts()) {
    if (count.value == 3) CHECK(s.count(count, removed) == 2);
    if (count.value == 6) CHECK(s.count(count, removed) == 4);
    if (count.value == 2) CHECK(s.count(count, removed) == 2);
  }
  CHECK(s.counts().size() == 3);
}

TEST_CASE("a shuffle whose sizes come from Shape keeps its columns apart", "[structure][shuffle]") {
  const Structure s = analysed({.inputs = "float[1,3,4,4] x", .outputs = "float[1,2,4,4] y",
                                .weights = {{"a", {6, 3, 1, 1}}, {"b", {2, 6, 1, 1}}},
                                .nodes = "h = Conv (x, a) n = Shape (h) c = Gather (n, one) d = Div (c, two) e = Unsqueeze (c, first) f = Unsqueeze (d, first)"
                                         " apart = Concat <axis = 0> (front, f, back) together = Concat <axis = 0> (single, e, back)"
                                         " i = Reshape (h, apart) j = Transpose <perm = [0, 2, 1, 3, 4]> (i) k = Reshape (j, together) y = Conv (k, b)",
                                .constants = "int64 one = {1}, int64 two = {2}, int64[1] first = {0}, int64[2] front = {1, 2}, int64[2] back = {4, 4},"
                                             " int64[1] single = {1}"});
  const auto columns = std::find_if(s.groups().begin(), s.groups().end(), [](const Group& g) { return g.is_cuttable() && g.units == 3; });
  REQUIRE(columns != s.groups().end());
  CHECK(member_of(*columns, "b", 1).indices[1] == Indices{2, 3});
}

TEST_CASE("pixel shuffle takes channels in whole blocks", "[structure][shuffle]") {
  const Structure s = analysed({.inputs = "float[1,3,4,4] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {12, 3, 1, 1}}, {"b", {2, 3, 1, 1}}},
                                .nodes = "h = Conv (x, a) i = DepthToSpace <blocksize = 2, mode = \"CRD\"> (h) y = Conv (i, b)"});
  const Group& blocks = group_of(s, "b", 1);
  CHECK(blocks.units == 3);
  CHECK(member_of(blocks, "a", 0).indices[1] == Indices{4, 5, 6, 7});
}

TEST_CASE("squeeze and excite: the gate goes with the channels, the bottleneck is free", "[structure][mul]") {
  const Structure s = analysed({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y",
                                .weights = {{"a", {4, 3, 1, 1}}, {"s", {2, 4, 1, 1}}, {"e", {4, 2, 1, 1}}, {"b", {2, 4, 1, 1}}},
                                .nodes = "h = Conv (x, a) g = GlobalAveragePool (h) i = Conv (g, s) j = Relu (i) k = Conv (j, e) l = Sigmoid (k)"
                                         " m = Mul (h, l) y = Conv (m, b)"});
  CHECK(members_of(group_of(s, "a", 0)) == "a:0 b:1 e:0 s:1");
  CHECK(members_of(group_of(s, "s", 0)) == "e:1 s:0");
}

TEST_CASE("GroupNormalization frees whole groups only; LayerNormalization holds its axis and says so", "[structure][norm]") {
  const Structure grouped = analysed({.inputs = "float[1,3,4,4] x", .outputs = "float[1,2,4,4] y",
                                      .weights = {{"a", {6, 3, 1, 1}}, {"g", {6}}, {"o", {6}}, {"b", {2, 6, 1, 1}}},
                                      .nodes = "h = Conv (x, a) n = GroupNormalization <num_groups = 3> (h, g, o) y = Conv (n, b)", .opset = 21});
  const Group& whole = group_of(grouped, "a", 0);
  CHECK(whole.units == 3);
  CHECK(whole.is_cuttable());
  CHECK(member_of(whole, "g", 0).indices[1] == Indices{2, 3});

  const Structure layer = analysed({.inputs = "float[2,5,3] x", .outputs = "float[2,5,2] y",
                                    .weights = {{"a", {3, 4}}, {"g", {4}}, {"b", {4, 2}}},
                                    .nodes = "h = MatMul (x, a) n = LayerNormalization (h, g) y = MatMul (n, b)"});
  const Group& held = group_of(layer, "a", 1);
  CHECK_FALSE(held.is_cuttable());
  CHECK(held.frozen.at(0).op == "LayerNormalization");
  CHECK_FALSE(held.frozen.at(0).fix.empty());
}

TEST_CASE("what a masked channel has no finite value at, or is padded with another number, holds it", "[structure][zero]") {
  const auto cuttable = [](const std::string& between) {
    const Structure s = analysed({.inputs = "float[1,4,3] x", .outputs = "float[1,4,1] y", .weights = {{"a", {3, 5}}},
                                  .nodes = "h = MatMul (x, a) " + between + " y = ReduceSum <keepdims = 1> (r, last)",
                                  .constants = "int64[1] last = {-1}, int64[1] one = {1}, int64[6] pads = {0, 1, 0, 0, -1, 0}, float seven = {7}, float zero = {0}, bool yes = {1}, bool no = {0}, float half = {0.5}"});
    return group_of(s, "a", 1).is_cuttable();
  };
  CHECK(cuttable("r = Relu (h)"));
  CHECK(cuttable("r = Pad (h, pads, zero)"));
  CHECK_FALSE(cuttable("r = Pad (h, pads, seven)"));
  CHECK_FALSE(cuttable("r = Acosh (h)"));
  CHECK_FALSE(cuttable("s = Abs (h) r = ReduceLogSum <axes = [1]> (s)"));
  CHECK(cuttable("r = Dropout (h, half, no)"));
  CHECK_FALSE(cuttable("r = Dropout (h, half, yes)"));  // it would draw other numbers
}

TEST_CASE("an operator without a rule freezes what it touches and is named", "[structure][freeze]") {
  const std::string model = text_of({.inputs = "float[1,3,8,8] x", .outputs = "float[1,2,8,8] y", .weights = {{"a", {4, 3, 1, 1}}, {"b", {2, 4, 1, 1}}},
                                     .nodes = "h = Conv (x, a) i = mine.Whatever (h) y = Conv (h, b)"});
  const TextModel text(std::string(model).replace(model.find("]>"), 2, ", \"mine\": 1]>"));
  const Structure s = Structure::analyse(text.load());
  const Group& inner = group_of(s, "a", 0);
  CHECK_FALSE(inner.is_cuttable());
  CHECK(inner.frozen.at(0).reason == "the operator mine.Whatever has no rule");
}

TEST_CASE("a size that the model leaves open is what the weight of its reader says", "[structure][sizes]") {
  const auto assumed = [](const std::string& input, const Shape& weight, const std::string& nodes) {
    return analysed({.inputs = input + " x", .outputs = "float[o,p,q,r] y", .weights = {{"w", weight}}, .nodes = nodes, .constants = "float half = {0.5}"}).shape("x");
  };
  CHECK(assumed("float[n,c,h,w]", {4, 3, 3, 3}, "y = Conv (x, w)") == Shape{1, 3, 64, 64});
  CHECK(assumed("float[n,c,h,w]", {4, 2, 3, 3}, "m = Mul (x, half) y = Conv <group = 2> (m, w)") == Shape{1, 4, 64, 64});
  CHECK(assumed("float[n,c,h,w]", {5, 2, 3, 3}, "y = ConvTranspose (x, w)") == Shape{1, 5, 64, 64});
  CHECK(assumed("float[n,1,t,d]", {6, 4}, "y = MatMul (x, w)") == Shape{1, 1, 64, 6});
  CHECK(assumed("float[n,7,h,w]", {4, 3, 3, 3}, "y = Relu (x)") == Shape{1, 7, 64, 64});
}
