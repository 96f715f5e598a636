// upscale/: networks of the upscalers' plugin against BasicSR, from and to pictures of floats.
#include <cstring>

#include "plugins/plugin_pictures.hpp"
#include "suite.hpp"

namespace pumice::goldens {
namespace {

/// {1, 3, h, w} as a picture.
Result<plugins::Picture> picture_of(const Npy<float>& nchw) {
    const auto h = static_cast<std::uint32_t>(nchw.shape[2]), w = static_cast<std::uint32_t>(nchw.shape[3]);
    PUMICE_ASSIGN(auto picture, plugins::Picture::create(PUMICE_PICTURE_RGB32F, w, h));
    std::vector<float> pixels(nchw.data.size());
    for (std::size_t c = 0, plane = std::size_t(h) * w; c < 3; ++c)
        for (std::size_t i = 0; i < plane; ++i) pixels[3 * i + c] = nchw.data[c * plane + i];
    std::memcpy(picture.pixels(), pixels.data(), picture.bytes());
    return picture;
}

std::vector<float> nchw_of(const plugins::Picture& picture) {
    const std::size_t plane = std::size_t(picture.width()) * picture.height();
    std::vector<float> pixels(3 * plane), nchw(3 * plane);
    std::memcpy(pixels.data(), picture.pixels(), picture.bytes());
    for (std::size_t c = 0; c < 3; ++c)
        for (std::size_t i = 0; i < plane; ++i) nchw[c * plane + i] = pixels[3 * i + c];
    return nchw;
}

Status run_case(Suite& suite, const std::string& upscaler, const std::string& name, const std::string& out_file) {
    PUMICE_ASSIGN(const auto image, suite.npy("upscale/img.npy"));
    PUMICE_ASSIGN(const auto expected, suite.npy(out_file));
    PUMICE_ASSIGN(auto in, picture_of(image));
    PUMICE_ASSIGN(const auto registry, suite.plugins());
    plugins::PictureServices services;
    PUMICE_ASSIGN(services.device.device, suite.device());
    PUMICE_ASSIGN(services.device.kernels, suite.kernels());
    services.device.precision = suite.options().precision;
    PUMICE_ASSIGN(const auto method, registry->make_method(plugins::kUpscaler, upscaler, {}));
    const std::string file = suite.path(name + ".safetensors").string();
    PUMICE_ASSIGN(const double scale, plugins::inspect_upscaler(method, services, file));
    const double wanted = double(expected.shape[2]) / double(image.shape[2]);
    suite.exact(name + " factor", scale == wanted);
    const auto width = static_cast<std::uint32_t>(expected.shape[3]),
               height = static_cast<std::uint32_t>(expected.shape[2]);
    PUMICE_ASSIGN(auto out, plugins::Picture::create(PUMICE_PICTURE_RGB32F, width, height));
    PUMICE_TRY(plugins::run_upscaler(method, services, in, out, file));
    suite.compare_network(name, nchw_of(out), expected.data);
    return {};
}

}  // namespace

void upscale_cases(Suite& suite) {
    struct Case {
        const char *upscaler, *model, *out;
    };
    constexpr Case kCases[] = {{"esrgan", "rrdb_x2", "rrdb_x2_out"},
                               {"esrgan", "rrdb_x4", "rrdb_x4_out"},
                               {"esrgan", "rrdb_x4_oldkeys", "rrdb_x4_out"},
                               {"compact", "srvgg_x4", "srvgg_x4_out"}};
    suite.helper("upscale/img");
    for (const Case& c : kCases) {
        const std::string name = std::string("upscale/") + c.model, out = std::string("upscale/") + c.out;
        suite.helper(out);
        if (suite.exists(name + ".safetensors") && suite.wanted(name))
            suite.run(name, [&] { return run_case(suite, c.upscaler, name, out + ".npy"); });
    }
}

}  // namespace pumice::goldens
