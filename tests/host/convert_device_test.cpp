// The starter model in every format gives one picture; quantized, nearly the same one.
#include <cmath>

#include "catch.hpp"
#include "pumice/pumice.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

using Pixels = std::vector<std::uint8_t>;

const pumice::Engine& engine() {
    static const auto made = pumice::Engine::create();
    if (!made) FAIL(made.failure().message);
    return *made;
}

Pixels picture(const fs::path& file) {
    INFO(file);
    auto model = pumice::Model::load(engine(), file.string(), PUMICE_PRECISION_FP32);
    if (!model) FAIL(model.failure().message);
    pumice::Request request = model->defaults();
    request.prompt = "a lighthouse at sunset";
    request.width = request.height = 64;
    request.steps = 2;
    request.seed = 3;
    const auto images = model->generate(request);
    if (!images) FAIL(images.failure().message);
    return {(*images)[0].rgb.begin(), (*images)[0].rgb.end()};
}

double psnr(const Pixels& a, const Pixels& b) {
    REQUIRE(a.size() == b.size());
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (double(a[i]) - double(b[i])) * (double(a[i]) - double(b[i]));
    return sum > 0 ? 10 * std::log10(255.0 * 255.0 * static_cast<double>(a.size()) / sum) : 1000;
}

}  // namespace

TEST_CASE("the starter model in every format gives one picture") {
    TemporaryFolder folder;
    const fs::path starter = fs::path(PUMICE_TEST_DATA).parent_path() / "host/assets/starter.safetensors";
    const auto converted = [&](const char* name, const char* type = "") {
        pumice::WriteOptions options;
        options.type = type;
        const auto report = pumice::convert(starter.string(), (folder.path() / name).string(), options);
        if (!report) FAIL(report.failure().message);
        return folder.path() / name;
    };
    const Pixels expected = picture(starter);
    CHECK(picture(converted("a.ckpt")) == expected);
    CHECK(picture(converted("folder")) == expected);
    CHECK(picture(converted("a.gguf", "fp16")) == expected);
    CHECK(picture(converted("a.safetensors")) == expected);
    CHECK(psnr(picture(converted("q8_0.gguf", "q8_0")), expected) >= 40);
    // "Recognizable": at 20 dB the picture is another.
    CHECK(psnr(picture(converted("q4_0.gguf", "q4_0")), expected) >= 25);
}
