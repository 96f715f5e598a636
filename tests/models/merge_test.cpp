#include "models/merge.hpp"

#include <cmath>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using test::FileBuilder;
using test::TemporaryFolder;

namespace {

using Floats = std::vector<float>;

WeightFile file_of(const std::filesystem::path& path, const FileBuilder& builder) {
    test::write_file(path, builder.build());
    auto file = WeightFile::open(path);
    if (!file) FAIL(file.error().message);
    return *std::move(file);
}

Floats values(const OutputModel& model, const std::string& name) {
    for (const OutputTensor& t : model.tensors)
        if (t.name == name) {
            Floats read(static_cast<std::size_t>(t.element_count()));
            std::vector<std::byte> bytes(static_cast<std::size_t>(t.byte_count()));
            REQUIRE(t.elements(0, read));
            REQUIRE(t.bytes(0, bytes));
            return read;
        }
    FAIL("no tensor " + name);
    return {};
}

const std::string kIn0 = "model.diffusion_model.input_blocks.0.w", kIn1 = "model.diffusion_model.input_blocks.1.w",
                  kMiddle = "model.diffusion_model.middle_block.1.w", kOut1 = "model.diffusion_model.output_blocks.1.w",
                  kVae = "first_stage_model.w";

FileBuilder all_of(const Floats& v) {
    FileBuilder builder;
    for (const std::string& name : {kIn0, kIn1, kMiddle, kOut1, kVae}) builder.add(name, "F32", {v.size()}, v);
    return builder;
}

}  // namespace

TEST_CASE("merging: sums, differences, blocks", "[models]") {
    const TemporaryFolder folder;
    FileBuilder first = all_of({1, 2}), other = all_of({5, -2});
    first.add("only", "F32", {1}, Floats{9}).add("ids", "I64", {1}, std::vector<std::int64_t>{7});
    other.add("ids", "I64", {1}, std::vector<std::int64_t>{8});
    const WeightFile a = file_of(folder / "a", first), b = file_of(folder / "b", other),
                     c = file_of(folder / "c", all_of({2, 2}));
    std::size_t kept = 0;
    const auto sum = merged_model(a, b, nullptr, {MergeMethod::weighted_sum, 0.25, {}}, kept);
    REQUIRE(sum);
    CHECK(values(*sum, kVae) == Floats{2, 1});
    CHECK(values(*sum, "only") == Floats{9});
    CHECK(values(*sum, "ids") == Floats{7});
    CHECK(kept == 1);
    const auto difference = merged_model(a, b, &c, {MergeMethod::add_difference, 0.5, {}}, kept);
    REQUIRE(difference);
    CHECK(values(*difference, kIn1) == Floats{2.5, 0});
    const auto blocks = merged_model(a, b, nullptr, {MergeMethod::weighted_sum, 0, {1, 0.5, 0.25, 0, 0.75}}, kept);
    REQUIRE(blocks);
    CHECK(values(*blocks, kIn0) == Floats{5, -2});
    CHECK(values(*blocks, kIn1) == Floats{3, 0});
    CHECK(values(*blocks, kMiddle) == Floats{2, 1});
    CHECK(values(*blocks, kOut1) == Floats{4, -1});
    CHECK(values(*blocks, kVae) == Floats{1, 2});
    const auto wrong = merged_model(a, b, nullptr, {MergeMethod::weighted_sum, 0, {1, 2}}, kept);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message.find("blocks: 2 numbers, but the UNet of") == 0);
    const WeightFile other_shape = file_of(folder / "d", all_of({1, 2, 3}));
    const auto shapes = merged_model(a, other_shape, nullptr, {}, kept);
    REQUIRE_FALSE(shapes);
    CHECK(shapes.error().message.find("has shape [3], but [2] in the first model: they cannot be merged") !=
          std::string::npos);
}

TEST_CASE("merging along the circle keeps the length that the straight line loses", "[models]") {
    const TemporaryFolder folder;
    const WeightFile a = file_of(folder / "a", all_of({3, 0})), b = file_of(folder / "b", all_of({0, 3})),
                     near = file_of(folder / "c", all_of({6, 0.001f})), zero = file_of(folder / "z", all_of({0, 0}));
    std::size_t kept = 0;
    const MergeOptions half{MergeMethod::slerp, 0.5, {}};
    const auto middle = merged_model(a, b, nullptr, half, kept);
    REQUIRE(middle);
    const Floats v = values(*middle, kVae);
    CHECK(v[0] == Approx(3 / std::sqrt(2.0)));
    CHECK(v[1] == Approx(3 / std::sqrt(2.0)));
    CHECK(values(*merged_model(a, near, nullptr, half, kept), kVae)[0] == Approx(4.5));
    CHECK(values(*merged_model(a, zero, nullptr, half, kept), kVae) == Floats{1.5, 0});
    CHECK(values(*merged_model(a, b, nullptr, {MergeMethod::slerp, 0, {}}, kept), kVae) == Floats{3, 0});
}
