#include "adapters/textual_inversion.hpp"

#include <cmath>

#include "catch.hpp"
#include "weights/file_builder.hpp"

using namespace pumice;
using namespace pumice::test;

namespace {

const std::filesystem::path kGoldens = std::filesystem::path(PUMICE_TEST_DATA) / "goldens" / "ti";

std::vector<float> numbers(std::size_t n) {
    std::vector<float> values(n);
    for (std::size_t i = 0; i < n; ++i) values[i] = static_cast<float>(i);
    return values;
}

Result<TextualInversion> opened(const FileBuilder& file) {
    TemporaryFolder folder;
    write_file(folder / "word.safetensors", file.build());
    return TextualInversion::open(folder / "word.safetensors");
}

}  // namespace

TEST_CASE("embeddings are read in every layout that people have") {
    for (const char* file : {"my-emb.safetensors", "my-emb.pt"}) {
        const auto read = TextualInversion::open(kGoldens / file);
        REQUIRE(read);
        CHECK(read->name == "my-emb");
        CHECK(read->first.count == 3);
        CHECK(read->first.width == 16);
        CHECK_FALSE(read->for_xl());
    }
    const auto xl = TextualInversion::open(kGoldens / "my-emb-xl.safetensors");
    REQUIRE(xl);
    CHECK(xl->for_xl());
    CHECK(xl->first.count == xl->second.count);

    // Diffusers': the word is the tensor's name, one vector has no second dimension.
    FileBuilder one;
    const auto word = opened(one.add("<cat>", "F32", {8}, numbers(8)));
    REQUIRE(word);
    CHECK(word->count() == 1);
    CHECK(word->first.values == numbers(8));
}

TEST_CASE("what is no embedding is refused") {
    FileBuilder model, many, uneven, nothing;
    model.add("a", "F32", {8}, numbers(8)).add("b", "F32", {8}, numbers(8));
    REQUIRE_FALSE(opened(model));
    CHECK(opened(model).error().message.find("no embedding: 2 tensors") != std::string::npos);
    CHECK(opened(many.add("emb_params", "F32", {76, 2}, numbers(152))).error().code == Code::bad_format);
    uneven.add("clip_l", "F32", {1, 8}, numbers(8)).add("clip_g", "F32", {2, 8}, numbers(16));
    CHECK(opened(uneven).error().message.ends_with("clip_l has 1 vectors and clip_g 2"));
    CHECK(opened(nothing.add("emb_params", "F32", {1, 1}, std::vector<float>{NAN})).error().code == Code::bad_format);
}
