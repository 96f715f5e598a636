// Upscalers, preprocessors, image filters, and the extensions for networks, pictures and kernels, on a device.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <random>

#include <nlohmann/json.hpp>

#include "device_fixture.hpp"
#include "host/checkpoint.hpp"
#include "plugins/plugin_pictures.hpp"
#include "plugins/registry_fixture.hpp"
#include "plugins/session.hpp"
#include "temporary_folder.hpp"
#include "weights/checkpoint_builder.hpp"

using namespace pumice;
using namespace pumice::test;
using plugins::Picture;

namespace {

plugins::DeviceServices device_services(Precision precision = Precision::exact) {
    return {gpu().device, std::shared_ptr<KernelCache>(&gpu().kernels, [](KernelCache*) {}), precision, nullptr};
}

plugins::PictureServices services(Precision precision = Precision::exact) {
    plugins::PictureServices made;
    made.device = device_services(precision);
    return made;
}

template <class T>
T need(Result<T> result) {
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *std::move(result);
}
void need(const Status& status) {
    INFO((status ? "" : status.error().message));
    REQUIRE(status);
}

plugins::Registry& registry() {
    static const auto made = make_registry(builtin_options());
    return *made;
}

std::uint8_t* bytes(Picture& p) {
    return reinterpret_cast<std::uint8_t*>(p.pixels());
}

/// Blobs, lines and noise.
Picture scene(std::uint32_t format, std::uint32_t width, std::uint32_t height, std::uint32_t seed = 1) {
    Picture p = need(Picture::create(format, width, height));
    std::mt19937 random(seed);
    for (std::uint32_t y = 0; y < height; ++y)
        for (std::uint32_t x = 0; x < width; ++x)
            for (std::uint32_t c = 0; c < p.channels(); ++c) {
                const double wave = std::sin(0.11 * x * (c + 1)) + std::cos(0.07 * y + 0.05 * x);
                const int block = (x / 17 + y / 13) % 3 == c % 3 ? 90 : 0;
                bytes(p)[(std::size_t(y) * width + x) * p.channels() + c] =
                    static_cast<std::uint8_t>(std::clamp(60 + 40 * wave + block + double(random() % 24), 0.0, 255.0));
            }
    return p;
}

Picture upscaled(const std::string& name, Picture in, std::uint32_t width, std::uint32_t height,
                 const std::string& model = {}, const std::vector<std::string>& params = {},
                 Precision precision = Precision::exact) {
    Picture out = need(Picture::create(in.format(), width, height));
    need(plugins::run_upscaler(need(registry().make_method(plugins::kUpscaler, name, params)), services(precision), in,
                               out, model));
    return out;
}

const std::string kGoldens = std::string(PUMICE_TEST_DATA) + "/goldens/upscale/";

double lanczos(double v) {
    const auto sinc = [](double x) { return x == 0 ? 1 : std::sin(M_PI * x) / (M_PI * x); };
    return std::fabs(v) < 3 ? sinc(v) * sinc(v / 3) : 0;
}

/// A pixel of a resampled picture, in levels: (fx, fy) are the picture's pixels to one of the result.
double lanczos_at(Picture& p, double fx, double fy, std::uint32_t x, std::uint32_t y, std::uint32_t c) {
    const double cx = (x + 0.5) * fx, cy = (y + 0.5) * fy, wx = std::max(1.0, fx), wy = std::max(1.0, fy);
    double sum = 0, total = 0;
    for (double j = std::max(0.0, std::floor(cy - 3 * wy)); j < std::min(double(p.height()), cy + 3 * wy); ++j)
        for (double i = std::max(0.0, std::floor(cx - 3 * wx)); i < std::min(double(p.width()), cx + 3 * wx); ++i) {
            const double w = lanczos((j + 0.5 - cy) / wy) * lanczos((i + 0.5 - cx) / wx);
            sum += w * bytes(p)[(std::size_t(j) * p.width() + std::size_t(i)) * p.channels() + c];
            total += w;
        }
    return std::clamp(sum / total, 0.0, 255.0);
}

}  // namespace

TEST_CASE("tiles of a network do not show, whatever the picture's size") {
    for (const auto& [model, upscaler, factor] :
         {std::tuple{"srvgg_x4", "compact", 4u}, std::tuple{"rrdb_x2", "esrgan", 2u}}) {
        INFO(model);
        const std::string file = kGoldens + model + ".safetensors";
        const Picture in = scene(PUMICE_PICTURE_RGB8, 117, 75);  // odd: what unshuffles must fill up
        Picture whole = upscaled(upscaler, in, 117 * factor, 75 * factor, file);
        Picture tiled =
            upscaled(upscaler, in, 117 * factor, 75 * factor, file, {"upscaler.tile=64", "upscaler.overlap=24"});
        int worst = 0;
        for (std::size_t i = 0; i < whole.bytes(); ++i)
            worst = std::max(worst, std::abs(int(bytes(whole)[i]) - int(bytes(tiled)[i])));
        CHECK(worst == 0);
        // Not all one colour: there is something to compare.
        CHECK(*std::max_element(bytes(whole), bytes(whole) + whole.bytes()) >
              *std::min_element(bytes(whole), bytes(whole) + whole.bytes()) + 20);
    }
}

TEST_CASE("an upscaler's weights come as PyTorch saves them, too") {
    const TemporaryFolder folder;
    const Safetensors parts(read_file(kGoldens + "rrdb_x2.safetensors"));
    const std::filesystem::path pth = folder.path() / "rrdb_x2.pth";
    write_file(pth, legacy_checkpoint_of(parts.header, parts.data, "params_ema"));
    const Picture in = scene(PUMICE_PICTURE_RGB8, 20, 14);
    Picture expected = upscaled("esrgan", in, 40, 28, kGoldens + "rrdb_x2.safetensors");
    Picture made = upscaled("esrgan", in, 40, 28, pth);
    CHECK(std::equal(bytes(made), bytes(made) + made.bytes(), bytes(expected)));
}

TEST_CASE("alpha is kept, and a size that is not the model's is reached") {
    Picture in = scene(PUMICE_PICTURE_RGBA8, 30, 22);
    Picture native = upscaled("compact", in, 120, 88, kGoldens + "srvgg_x4.safetensors");
    Picture half = upscaled("compact", in, 75, 55, kGoldens + "srvgg_x4.safetensors");
    CHECK(half.has_alpha());
    int worst = 0, worst_colour = 0;
    for (std::uint32_t y = 0; y < 55; ++y)
        for (std::uint32_t x = 0; x < 75; ++x) {
            const std::size_t at = (std::size_t(y) * 75 + x) * 4;
            worst = std::max(worst,
                             std::abs(int(bytes(half)[at + 3]) - int(std::lround(lanczos_at(in, 0.4, 0.4, x, y, 3)))));
            worst_colour = std::max(
                worst_colour, std::abs(int(bytes(half)[at]) - int(std::lround(lanczos_at(native, 1.6, 1.6, x, y, 0)))));
        }
    CHECK(worst <= 1);
    CHECK(worst_colour <= 1);
}

TEST_CASE("lanczos is Lanczos, with alpha, in one tile or several") {
    Picture in = scene(PUMICE_PICTURE_RGBA8, 20, 12);
    Picture out = upscaled("lanczos", in, 50, 30);
    int worst = 0;
    for (std::uint32_t y = 0; y < 30; ++y)
        for (std::uint32_t x = 0; x < 50; ++x)
            for (std::uint32_t c = 0; c < 4; ++c)
                worst = std::max(worst, std::abs(int(bytes(out)[(std::size_t(y) * 50 + x) * 4 + c]) -
                                                 int(std::lround(lanczos_at(in, 0.4, 0.4, x, y, c)))));
    CHECK(worst <= 1);
    Picture thin = scene(PUMICE_PICTURE_RGB8, 700, 2);
    Picture wide = upscaled("lanczos", thin, 1400, 4);  // two tiles
    worst = 0;
    for (std::uint32_t x = 1000; x < 1050; ++x)
        for (std::uint32_t y = 0; y < 4; ++y)
            worst = std::max(worst, std::abs(int(bytes(wide)[(std::size_t(y) * 1400 + x) * 3]) -
                                             int(std::lround(lanczos_at(thin, 0.5, 0.5, x, y, 0)))));
    CHECK(worst <= 1);
}

TEST_CASE("a file that is no model of an upscaler is told so") {
    const auto esrgan = need(registry().make_method(plugins::kUpscaler, "esrgan", {}));
    const auto other = plugins::inspect_upscaler(esrgan, services(), kGoldens + "srvgg_x4.safetensors");
    REQUIRE(!other);
    CHECK(other.error().code == Code::unsupported);
    CHECK(other.error().message.find("plugin pumice.upscalers: upscaler esrgan: ") == 0);
    CHECK(plugins::inspect_upscaler(esrgan, services(), "/no/such.safetensors").error().code == Code::not_found);
    CHECK(need(plugins::inspect_upscaler(esrgan, services(), kGoldens + "rrdb_x2.safetensors")) == 2);
    CHECK(need(plugins::inspect_upscaler(esrgan, services(), kGoldens + "rrdb_x4_oldkeys.safetensors")) == 4);
    CHECK(registry().make_method(plugins::kUpscaler, "nothing", {}).error().code == Code::not_found);
    const std::vector<std::string> params = {"upscaler.tile=1"};
    CHECK(registry().make_method(plugins::kUpscaler, "esrgan", params).error().code == Code::invalid_argument);
}

namespace {

/// Canny's edges as the textbook has them, apart from the plugin's code: integers throughout.
std::vector<std::uint8_t> canny_reference(Picture& p, int low, int high) {
    const int w = int(p.width()), h = int(p.height());
    const auto level = [&](int x, int y, int c) {
        return int(bytes(p)[(std::size_t(std::clamp(y, 0, h - 1)) * w + std::clamp(x, 0, w - 1)) * p.channels() + c]);
    };
    struct Gradient {
        int size = 0, dx = 0, dy = 0;
    };
    std::vector<Gradient> gradients(std::size_t(w) * h);
    for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x)
            for (int c = 0; c < 3; ++c) {
                int dx = 0, dy = 0;
                for (int k = -1; k <= 1; ++k) {
                    dx += (k == 0 ? 2 : 1) * (level(x + 1, y + k, c) - level(x - 1, y + k, c));
                    dy += (k == 0 ? 2 : 1) * (level(x + k, y + 1, c) - level(x + k, y - 1, c));
                }
                Gradient& g = gradients[std::size_t(y) * w + x];
                if (c == 0 || std::abs(dx) + std::abs(dy) > g.size) g = {std::abs(dx) + std::abs(dy), dx, dy};
            }
    const auto size = [&](int x, int y) {
        return x < 0 || y < 0 || x >= w || y >= h ? 0 : gradients[std::size_t(y) * w + x].size;
    };
    std::vector<int> kind(std::size_t(w) * h);
    for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x) {
            const Gradient& g = gradients[std::size_t(y) * w + x];
            if (g.size <= low) continue;
            const double angle = std::atan2(std::abs(double(g.dy)), std::abs(double(g.dx))) * 180 / M_PI;
            bool top = false;
            if (angle < 22.5)
                top = g.size > size(x - 1, y) && g.size >= size(x + 1, y);
            else if (angle > 67.5)
                top = g.size > size(x, y - 1) && g.size >= size(x, y + 1);
            else {
                const int s = (g.dx < 0) != (g.dy < 0) ? -1 : 1;
                top = g.size > size(x - s, y - 1) && g.size > size(x + s, y + 1);
            }
            if (top) kind[std::size_t(y) * w + x] = g.size > high ? 2 : 1;
        }
    // Grows until nothing changes.
    for (bool grown = true; grown;) {
        grown = false;
        for (int y = 0; y < h; ++y)
            for (int x = 0; x < w; ++x) {
                if (kind[std::size_t(y) * w + x] != 1) continue;
                for (int j = std::max(0, y - 1); j <= std::min(h - 1, y + 1); ++j)
                    for (int i = std::max(0, x - 1); i <= std::min(w - 1, x + 1); ++i)
                        if (kind[std::size_t(j) * w + i] == 2) kind[std::size_t(y) * w + x] = 2, grown = true;
            }
    }
    std::vector<std::uint8_t> edges;
    for (const int k : kind) edges.push_back(k == 2 ? 255 : 0);
    return edges;
}

Picture preprocessed(const std::string& name, Picture* in, std::uint32_t width, std::uint32_t height,
                     const std::vector<std::string>& params = {}, std::uint64_t seed = 0,
                     Precision precision = Precision::exact) {
    Picture out = need(Picture::create(PUMICE_PICTURE_RGB8, width, height));
    need(plugins::run_preprocessor(need(registry().make_method(plugins::kPreprocessor, name, params)),
                                   services(precision), in, out, seed));
    return out;
}

}  // namespace

TEST_CASE("canny finds the edges of the reference") {
    for (const Precision precision : {Precision::exact, Precision::fp16})
        for (const auto& [width, height, low, high] :
             {std::tuple{97u, 61u, 100, 200}, std::tuple{130u, 40u, 60, 400}}) {
            Picture in = scene(PUMICE_PICTURE_RGB8, width, height, width);
            Picture out = preprocessed(
                "canny", &in, width, height,
                {"preprocessor.low=" + std::to_string(low), "preprocessor.high=" + std::to_string(high)}, 0, precision);
            const auto want = canny_reference(in, low, high);
            std::size_t equal = 0, edges = 0;
            for (std::size_t i = 0; i < want.size(); ++i) {
                equal += bytes(out)[3 * i] == want[i] && bytes(out)[3 * i + 1] == want[i] &&
                         bytes(out)[3 * i + 2] == want[i];
                edges += want[i] != 0;
            }
            CHECK(edges > want.size() / 100);
            CHECK(edges < want.size() / 2);
            CHECK(equal >= want.size() * 999 / 1000);
        }
}

TEST_CASE("what the other preprocessors draw") {
    Picture in = scene(PUMICE_PICTURE_RGBA8, 33, 21);
    Picture inverted = preprocessed("invert", &in, 33, 21), black = preprocessed("scribble", &in, 33, 21);
    Picture bw = preprocessed("threshold", &in, 33, 21), grey = preprocessed("recolor", &in, 33, 21);
    for (std::size_t i = 0; i < 33 * 21; ++i) {
        const std::uint8_t *p = bytes(in) + 4 * i, *v = bytes(inverted) + 3 * i;
        REQUIRE((v[0] == 255 - p[0] && v[1] == 255 - p[1] && v[2] == 255 - p[2]));
        REQUIRE(bytes(black)[3 * i] == (std::min({p[0], p[1], p[2]}) < 127 ? 255 : 0));
        REQUIRE(bytes(bw)[3 * i] == (0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2] > 127 ? 255 : 0));
        const auto linear = [](double l) { return l <= 0.04045 ? l / 12.92 : std::pow((l + 0.055) / 1.055, 2.4); };
        const double y = 0.2126 * linear(p[0] / 255.0) + 0.7152 * linear(p[1] / 255.0) + 0.0722 * linear(p[2] / 255.0);
        const double lightness = y > 0.008856 ? 116 * std::cbrt(y) - 16 : y * 903.3;
        REQUIRE(std::abs(bytes(grey)[3 * i] - lightness * 2.55) < 1);
    }
    // What is one colour stays that.
    Picture plain = need(Picture::create(PUMICE_PICTURE_RGB8, 24, 16));
    std::fill(bytes(plain), bytes(plain) + plain.bytes(), std::uint8_t(77));
    for (const char* name : {"blur", "tile", "shuffle"}) {
        INFO(name);
        Picture out = preprocessed(name, &plain, 24, 16);
        CHECK(std::all_of(bytes(out), bytes(out) + out.bytes(), [](std::uint8_t v) { return v == 77; }));
    }
    const auto spread = [](Picture& p) {
        double sum = 0, squares = 0;
        for (std::size_t i = 0; i < p.bytes(); ++i) sum += bytes(p)[i], squares += double(bytes(p)[i]) * bytes(p)[i];
        return squares / double(p.bytes()) - sum * sum / double(p.bytes()) / double(p.bytes());
    };
    Picture noisy = need(Picture::create(PUMICE_PICTURE_RGB8, 33, 21));
    std::mt19937 random(3);
    for (std::size_t i = 0; i < noisy.bytes(); ++i) bytes(noisy)[i] = static_cast<std::uint8_t>(random() % 256);
    Picture blurred = preprocessed("blur", &noisy, 33, 21, {"preprocessor.sigma=4"});
    Picture coarse = preprocessed("tile", &noisy, 33, 21, {"preprocessor.rate=8"});
    CHECK(spread(blurred) < spread(noisy) / 50);
    CHECK(spread(coarse) < spread(noisy) / 10);
    Picture once = preprocessed("shuffle", &noisy, 33, 21, {"preprocessor.cell=16"}, 5);
    Picture again = preprocessed("shuffle", &noisy, 33, 21, {"preprocessor.cell=16"}, 5);
    Picture other = preprocessed("shuffle", &noisy, 33, 21, {"preprocessor.cell=16"}, 6);
    CHECK(std::memcmp(once.pixels(), again.pixels(), once.bytes()) == 0);
    CHECK(std::memcmp(once.pixels(), other.pixels(), once.bytes()) != 0);
}

TEST_CASE("pose draws the skeleton of a file") {
    const TemporaryFolder folder;
    const std::string file = (folder.path() / "pose.json").string();
    // Nose, neck and right shoulder of one person; canvas twice the picture.
    nlohmann::json points = std::vector<double>(54, 0.0);
    const double seen[3][2] = {{100, 40}, {100, 80}, {60, 80}};
    for (int i = 0; i < 3; ++i) points[3 * i] = seen[i][0], points[3 * i + 1] = seen[i][1], points[3 * i + 2] = 1.0;
    std::ofstream(file) << nlohmann::json{
        {"canvas_width", 256}, {"canvas_height", 128}, {"people", {{{"pose_keypoints_2d", points}}}}};
    Picture out = preprocessed("pose", nullptr, 128, 64, {"preprocessor.keypoints=" + file});
    const auto pixel = [&](std::uint32_t x, std::uint32_t y) {
        const std::uint8_t* p = bytes(out) + (std::size_t(y) * 128 + x) * 3;
        return std::array<int, 3>{p[0], p[1], p[2]};
    };
    CHECK(pixel(50, 20) == std::array<int, 3>{255, 0, 0});    // nose
    CHECK(pixel(50, 40) == std::array<int, 3>{255, 85, 0});   // neck
    CHECK(pixel(30, 40) == std::array<int, 3>{255, 170, 0});  // shoulder
    CHECK(pixel(40, 40) == std::array<int, 3>{153, 0, 0});    // the limb between, dimmer
    CHECK(pixel(50, 30) == std::array<int, 3>{0, 0, 153});    // neck to nose
    CHECK(pixel(100, 10) == std::array<int, 3>{0, 0, 0});

    std::ofstream(file) << "[1, 2]";
    const std::vector<std::string> params = {"preprocessor.keypoints=" + file};
    const Status wrong = plugins::run_preprocessor(need(registry().make_method(plugins::kPreprocessor, "pose", params)),
                                                   services(), nullptr, out, 0);
    REQUIRE(!wrong);
    CHECK(wrong.error().code == Code::bad_format);
    CHECK(wrong.error().message == "plugin pumice.preprocessors: preprocessor pose: " + file +
                                       " is no OpenPose JSON: it has no list \"people\"");
    CHECK(plugins::run_preprocessor(need(registry().make_method(plugins::kPreprocessor, "invert", {})), services(),
                                    nullptr, out, 0)
              .error()
              .code == Code::invalid_argument);
}

TEST_CASE("image filters: nothing asked for changes nothing, sharpening widens what there is") {
    Picture in = scene(PUMICE_PICTURE_RGB8, 31, 17), out = need(Picture::create(PUMICE_PICTURE_RGB8, 31, 17));
    const auto run = [&](const std::string& name, const std::vector<std::string>& params) {
        need(plugins::run_image_filter(need(registry().make_method(plugins::kImageFilter, name, params)), services(),
                                       in, out, 0, 1));
    };
    run("adjust", {});
    CHECK(std::memcmp(in.pixels(), out.pixels(), in.bytes()) == 0);
    run("sharpen", {"image_filter.amount=0"});
    CHECK(std::memcmp(in.pixels(), out.pixels(), in.bytes()) == 0);
    run("sharpen", {"image_filter.amount=1"});
    int worst = 0;
    for (int y = 1; y < 16; ++y)
        for (int x = 1; x < 30; ++x) {
            double soft = 0;
            for (int i = -1; i <= 1; ++i)
                for (int j = -1; j <= 1; ++j)
                    soft += (2 - std::abs(i)) * (2 - std::abs(j)) / 16.0 * bytes(in)[((y + i) * 31 + x + j) * 3];
            const double want = std::clamp(2 * bytes(in)[(y * 31 + x) * 3] - soft, 0.0, 255.0);
            worst = std::max(worst, int(std::lround(std::fabs(want - bytes(out)[(y * 31 + x) * 3]))));
        }
    CHECK(worst <= 1);
    run("adjust", {"image_filter.saturation=0"});
    CHECK(bytes(out)[0] == bytes(out)[1]);
}

// ---- the extensions, called as a plugin calls them ----

namespace {

struct HostSide {
    explicit HostSide(Precision precision = Precision::fp32) : session("org.example.test", {}, nullptr) {
        session.offer(device_services(precision));
        session.begin_run({});
        graph = get<pumice_host_graph_1>(PUMICE_HOST_GRAPH_1);
        kernel = get<pumice_host_kernel_1>(PUMICE_HOST_KERNEL_1);
        weights = get<pumice_host_weights_1>(PUMICE_HOST_WEIGHTS_1);
        image = get<pumice_host_image_1>(PUMICE_HOST_IMAGE_1);
    }
    template <class T>
    const T* get(const char* id) {
        const auto* found = static_cast<const T*>(session.host()->get_extension(session.host(), id));
        REQUIRE(found);
        CHECK(found->struct_size == sizeof(T));
        return found;
    }
    /// What the run would come to, had the plugin handed this on.
    std::string message(pumice_sdk_status status) {
        const Status outcome = session.outcome(status, "", "test");
        return outcome ? "" : outcome.error().message;
    }
    plugins::Session session;
    const pumice_host* host() { return session.host(); }
    const pumice_host_graph_1* graph;
    const pumice_host_kernel_1* kernel;
    const pumice_host_weights_1* weights;
    const pumice_host_image_1* image;
};

constexpr const char* kDouble = R"(#version 460
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TIMES = 1;
layout(std430, set = 0, binding = 0) readonly buffer X { float x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { uint count; float factor; };
void main() {
    if (gl_GlobalInvocationID.x < count) y[gl_GlobalInvocationID.x] = x[gl_GlobalInvocationID.x] * factor * float(TIMES);
}
)";
constexpr const char* kDoubleHalf = R"(#version 460
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint TIMES = 1;
layout(std430, set = 0, binding = 0) readonly buffer X { uint x[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push { uint count; float factor; };
void main() {
    const uint i = gl_GlobalInvocationID.x;
    if (2 * i < count) y[i] = packHalf2x16(unpackHalf2x16(x[i]) * factor * float(TIMES));
}
)";

pumice_kernel_options kernel_options(const char* glsl) {
    pumice_kernel_options o{};
    o.struct_size = sizeof o;
    o.name = "double.comp";
    o.f32.glsl = glsl;
    o.reads = o.writes = 1;
    o.push_bytes = 8;
    return o;
}

struct Push {
    std::uint32_t count;
    float factor;
};

/// y = kernel(x) over {1, 1, 5, 4}, x an activation of the graph.
struct KernelProgram {
    HostSide& host;
    pumice_kernel kernel;
    static pumice_sdk_status build(void* data, pumice_graph g) {
        auto& self = *static_cast<KernelProgram*>(data);
        const pumice_host* host = self.host.host();
        const pumice_host_graph_1& graph = *self.host.graph;
        pumice_node x = graph.input(host, g, {1, 1, 5, 3});  // rounded up to 4 channels
        x = graph.activation(host, g, x, PUMICE_ACTIVATE_LEAKY_RELU, 0.5f);
        const Push push{20, 3};
        const std::uint32_t constants[] = {2};
        const pumice_shape shape{1, 1, 5, 4};
        pumice_kernel_use use{};
        use.struct_size = sizeof use;
        use.reads = &x;
        use.writes = &shape;
        use.push = &push;
        use.constants = constants;
        use.constant_count = 1;
        use.groups[0] = use.groups[1] = use.groups[2] = 1;
        pumice_node y = 0;
        const pumice_sdk_status status = self.host.kernel->append(host, g, self.kernel, &use, &y);
        graph.output(host, g, y);
        return status;
    }
};

}  // namespace

TEST_CASE("pumice.kernel/1 runs GLSL and SPIR-V in float32 and in float16") {
    for (const Precision precision : {Precision::fp32, Precision::fp16})
        for (const bool half_code : {false, true}) {
            HostSide host(precision);
            pumice_kernel_options o = kernel_options(kDouble);
            if (half_code) o.f16.glsl = kDoubleHalf;
            KernelProgram data{host, 0};
            REQUIRE(host.kernel->create(host.host(), &o, &data.kernel) == PUMICE_SDK_OK);
            pumice_program_options p{};
            p.struct_size = sizeof p;
            p.name = "doubling";
            p.build = KernelProgram::build;
            p.data = &data;
            pumice_program program = 0;
            const pumice_sdk_status made = host.graph->create(host.host(), &p, &program);
            INFO(host.message(made));
            REQUIRE(made == PUMICE_SDK_OK);
            std::vector<float> x(20), y(20);
            for (std::size_t i = 0; i < 20; ++i) x[i] = float(i) - 10;
            REQUIRE(host.graph->write(host.host(), program, 0, x.data(), 20) == PUMICE_SDK_OK);
            REQUIRE(host.graph->run(host.host(), program) == PUMICE_SDK_OK);
            REQUIRE(host.graph->read(host.host(), program, 0, y.data(), 20) == PUMICE_SDK_OK);
            for (std::size_t i = 0; i < 20; ++i) CHECK(y[i] == 6 * (x[i] < 0 ? 0.5f * x[i] : x[i]));
            CHECK(host.graph->write(host.host(), program, 0, x.data(), 19) == PUMICE_SDK_INVALID_ARGUMENT);
            CHECK(host.message(PUMICE_SDK_OK) == "input 0 of doubling has 20 numbers, not 19");
            host.graph->release(host.host(), program);
            CHECK(host.graph->run(host.host(), program) == PUMICE_SDK_INVALID_ARGUMENT);
        }
}

TEST_CASE("a shader that does not compile is told by line, and what does not fit is refused") {
    HostSide host;
    const std::string broken = std::string(kDouble).replace(std::string(kDouble).find("factor *"), 8, "fractor *");
    pumice_kernel_options o = kernel_options(broken.c_str());
    pumice_kernel kernel = 0;
    CHECK(host.kernel->create(host.host(), &o, &kernel) == PUMICE_SDK_BAD_FORMAT);
    CHECK(host.message(PUMICE_SDK_BAD_FORMAT).find("double.comp:8: error: 'fractor'") == 0);
    CHECK(kernel == 0);

    const auto refused = [&](const pumice_kernel_options& options) {
        HostSide fresh;
        pumice_kernel made = 0;
        const pumice_sdk_status status = fresh.kernel->create(fresh.host(), &options, &made);
        CHECK(status != PUMICE_SDK_OK);
        return fresh.message(status);
    };
    o = kernel_options(kDouble);
    o.reads = 0;
    CHECK(refused(o) == "kernel double.comp: it uses binding 1 of set 0; 1 tensors are declared, in set 0");
    o = kernel_options(nullptr);
    const std::uint32_t words[] = {0x07230203, 0x00010500, 0, 1, 0, 0x00050011};
    o.f32.spirv = words;
    o.f32.spirv_words = 6;
    CHECK(refused(o) == "kernel double.comp: no SPIR-V that can be used: it is cut off at word 5");
    o.f32.spirv_words = 5;
    CHECK(refused(o) == "kernel double.comp: no SPIR-V that can be used: it has no compute entry point called main");
    const std::string huge = std::string(kDouble).replace(std::string(kDouble).find("= 64"), 4, "= 512");
    o = kernel_options(huge.c_str());
    CHECK(refused(o).find("a workgroup of 512x1x1") != std::string::npos);
}

TEST_CASE("pumice.weights/1 and the operators' errors") {
    HostSide host;
    const std::string path = kGoldens + "srvgg_x4.safetensors";
    pumice_weight_file file = 0;
    REQUIRE(host.weights->open(host.host(), path.c_str(), &file) == PUMICE_SDK_OK);
    CHECK(host.weights->count(host.host(), file) == 17);
    const std::uint32_t index = host.weights->find(host.host(), file, "body.0.weight");
    REQUIRE(index < 17);
    CHECK(host.weights->find(host.host(), file, "no") == 17);
    pumice_weight_info info{};
    info.struct_size = sizeof info;
    REQUIRE(host.weights->info(host.host(), file, index, &info) == PUMICE_SDK_OK);
    CHECK(std::string(info.name) == "body.0.weight");
    REQUIRE(info.rank == 4);
    CHECK(info.shape[1] == 3);
    std::vector<float> numbers(info.shape[0] * 27);
    REQUIRE(host.weights->read(host.host(), file, "body.0.weight", numbers.data(), numbers.size()) == PUMICE_SDK_OK);
    CHECK(std::any_of(numbers.begin(), numbers.end(), [](float v) { return v != 0; }));
    pumice_weight conv = 0, again = 0, vector = 0;
    REQUIRE(host.weights->load(host.host(), file, "body.0.weight", PUMICE_WEIGHT_CONV, &conv) == PUMICE_SDK_OK);
    REQUIRE(host.weights->load(host.host(), file, "body.0.weight", PUMICE_WEIGHT_CONV, &again) == PUMICE_SDK_OK);
    CHECK(conv == again);
    CHECK(host.weights->load(host.host(), file, "body.0.weight", PUMICE_WEIGHT_VECTOR, &vector) ==
          PUMICE_SDK_BAD_FORMAT);
    CHECK(host.session.device()->weight_bytes() == 0);  // nothing has gone to the device

    struct Data {
        HostSide& host;
        pumice_weight conv;
        std::uint32_t channels;
    } data{host, conv, 3};
    pumice_program_options p{};
    p.struct_size = sizeof p;
    p.name = "one layer";
    p.data = &data;
    p.build = [](void* given, pumice_graph g) -> pumice_sdk_status {
        auto& self = *static_cast<Data*>(given);
        const pumice_host* from = self.host.host();
        pumice_conv2d_options o{};
        o.struct_size = sizeof o;
        o.weight = self.conv;
        o.stride = 1;
        o.pad_top = o.pad_left = o.pad_bottom = o.pad_right = 1;
        self.host.graph->set_scope(from, g, "layer");
        const pumice_node y =
            self.host.graph->conv2d(from, g, self.host.graph->input(from, g, {1, 6, 5, self.channels}), &o);
        self.host.graph->output(from, g, y);
        return self.host.graph->check(from, g);
    };
    pumice_program program = 0;
    REQUIRE(host.graph->create(host.host(), &p, &program) == PUMICE_SDK_OK);
    CHECK(host.session.device()->weight_bytes() > 0);
    host.graph->release(host.host(), program);
    host.weights->release(host.host(), file);
    CHECK(host.session.device()->weight_bytes() == 0);
    REQUIRE(host.graph->create(host.host(), &p, &program) == PUMICE_SDK_OK);  // they come back

    data.channels = 8;
    CHECK(host.graph->create(host.host(), &p, &program) == PUMICE_SDK_INVALID_ARGUMENT);
    CHECK(host.message(PUMICE_SDK_INVALID_ARGUMENT).find("one layer: layer: conv2d: ") == 0);
    // The graph is gone with its building.
    HostSide other;
    CHECK(other.graph->softmax(other.host(), 1, 1) == 0);
    CHECK(other.message(PUMICE_SDK_OK) == "pumice.graph/1: there is no graph 1 now");
}
