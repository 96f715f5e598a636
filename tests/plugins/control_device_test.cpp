// Control networks and methods of guidance in the denoiser, on the tiny model: what counts when, and for whom.
#include <array>
#include <cstring>
#include <fstream>
#include <iterator>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "device_fixture.hpp"
#include "diffusion/rng.hpp"
#include "ops/operator_run.hpp"
#include "pipelines/guided_denoiser.hpp"
#include "plugins/guidance_cases.hpp"
#include "plugins/plugin_control.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

const std::string kGoldens = std::string(PUMICE_TEST_DATA) + "/goldens/";
const std::string kControlNet = kGoldens + "control/controlnet_tiny.safetensors";

template <class T>
T ok(Result<T> result) {
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    return *std::move(result);
}

void ok(const Status& status) {
    INFO((status ? "" : status.error().message));
    REQUIRE(status);
}

std::vector<float> numbers(std::size_t count, std::uint64_t seed) {
    std::vector<float> values(count);
    NoiseSource(RngKind::philox, seed).normal(values);
    return values;
}

/// The tiny model, two conditionings for it, and one step of it.
struct Tiny {
    std::shared_ptr<KernelCache> kernels{std::shared_ptr<KernelCache>(), &gpu().kernels};
    std::unique_ptr<Model> model =
        ok(Model::load(gpu().device, kernels, kGoldens + "sd1/sd1_tiny.safetensors", {.precision = Precision::fp32}));
    std::shared_ptr<plugins::Registry> registry = [] {
        plugins::RegistryOptions options;
        options.builtin = PUMICE_BUILTIN_PLUGINS;
        return ok(plugins::Registry::create(std::move(options)));
    }();
    Conditioning cond{77, 16, numbers(77 * 16, 1)}, uncond{77, 16, numbers(77 * 16, 2)};

    Result<std::shared_ptr<ControlNetwork>> open(const std::string& file) {
        return plugins::open_control(*registry, "", {.path = file, .unet = model->config().unet},
                                     {.device = gpu().device, .kernels = kernels, .precision = Precision::fp32}, {});
    }
    Control control(double weight, ControlMode mode = ControlMode::balanced, const std::string& file = kControlNet) {
        Control made;
        made.network = ok(open(file));
        made.picture = numbers(64 * 64 * 4, 3);
        for (std::size_t i = 3; i < made.picture.size(); i += 4) made.picture[i] = 0;
        made.weight = weight;
        made.mode = mode;
        return made;
    }

    struct Step {
        double scale = 5, progress = 0;
        Guidance* method = nullptr;
        std::uint32_t side = 8, pictures = 2;
    };
    /// What denoise_uncond gives, where `apart` is its factor; and what denoise gives, where it is 0.
    struct Answers {
        std::vector<float> denoised, uncond;
    };
    std::vector<float> step(std::vector<Control> controls, const Step& s) {
        return answers(std::move(controls), s, 0).denoised;
    }
    Answers answers(std::vector<Control> controls, const Step& s, double apart) {
        const Shape shape{s.pictures, s.side, s.side, 4};
        const auto math = ok(GpuTensorMath::create(gpu().device, *kernels, shape, Precision::fp32,
                                                   [](std::span<float>) { return Status{}; }));
        const auto set = ok(ControlSet::create(*model, std::move(controls), shape));
        const auto denoiser = ok(GuidedDenoiser::create(
            *model, *math, shape,
            {.scale = s.scale, .unconditional = apart > 0, .method = s.method, .controls = set.get()}));
        const std::vector<const Conditioning*> conds(s.pictures, &cond), unconds(s.pictures, &uncond);
        ok(denoiser->set_progress(s.progress));
        ok(denoiser->set_conditioning(conds, unconds));
        const Latent x = ok(math->create_latent()), denoised = ok(math->create_latent()),
                     other = ok(math->create_latent());
        ok(math->upload(x, numbers(shape.elements(), 4)));
        if (apart > 0)
            ok(denoiser->denoise_uncond(x, 2, apart, denoised, other));
        else
            ok(denoiser->denoise(x, 2, denoised));
        return {ok(math->download(denoised)), apart > 0 ? ok(math->download(other)) : std::vector<float>{}};
    }
};

double difference(const std::vector<float>& a, const std::vector<float>& b) {
    REQUIRE(a.size() == b.size());
    double largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::fabs(double(a[i]) - double(b[i])));
    return largest;
}

std::vector<Control> list(Control control) {
    std::vector<Control> all;
    all.push_back(std::move(control));
    return all;
}

/// The ControlNet's file with other names for its tensors.
void write_renamed(const fs::path& to, const std::function<std::string(const std::string&)>& rename) {
    std::ifstream in(kControlNet, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    std::uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    const auto given = nlohmann::ordered_json::parse(bytes.substr(8, size));
    nlohmann::ordered_json renamed;
    for (const auto& [name, tensor] : given.items()) renamed[name == "__metadata__" ? name : rename(name)] = tensor;
    const std::string header = renamed.dump();
    const std::uint64_t length = header.size();
    std::string start(8, '\0');
    std::memcpy(start.data(), &length, 8);
    std::ofstream(to, std::ios::binary) << start << header << bytes.substr(8 + size);
}

/// As diffusers calls the same tensors; the tiny network has one block a level and no attention at the last.
std::string diffusers_name(const std::string& name) {
    static const std::pair<std::string, std::string> prefixes[] = {
        {"input_blocks.0.0.", "conv_in."},
        {"input_blocks.1.0.", "down_blocks.0.resnets.0."},
        {"input_blocks.1.1.", "down_blocks.0.attentions.0."},
        {"input_blocks.2.0.op.", "down_blocks.0.downsamplers.0.conv."},
        {"input_blocks.3.0.", "down_blocks.1.resnets.0."},
        {"input_blocks.3.1.", "down_blocks.1.attentions.0."},
        {"input_blocks.4.0.op.", "down_blocks.1.downsamplers.0.conv."},
        {"input_blocks.5.0.", "down_blocks.2.resnets.0."},
        {"middle_block.0.", "mid_block.resnets.0."},
        {"middle_block.1.", "mid_block.attentions.0."},
        {"middle_block.2.", "mid_block.resnets.1."},
        {"middle_block_out.0.", "controlnet_mid_block."},
        {"time_embed.0.", "time_embedding.linear_1."},
        {"time_embed.2.", "time_embedding.linear_2."},
        {"input_hint_block.0.", "controlnet_cond_embedding.conv_in."},
        {"input_hint_block.14.", "controlnet_cond_embedding.conv_out."},
        {"in_layers.0.", "norm1."},
        {"in_layers.2.", "conv1."},
        {"emb_layers.1.", "time_emb_proj."},
        {"out_layers.0.", "norm2."},
        {"out_layers.3.", "conv2."},
        {"skip_connection.", "conv_shortcut."}};
    std::string given = name.substr(std::string("control_model.").size());
    for (int i = 0; i < 6; ++i) {
        const std::string zero = "zero_convs." + std::to_string(i) + ".0.";
        if (given.starts_with(zero))
            return "controlnet_down_blocks." + std::to_string(i) + "." + given.substr(zero.size());
        const std::string hint = "input_hint_block." + std::to_string(2 * i + 2) + ".";
        if (given.starts_with(hint))
            return "controlnet_cond_embedding.blocks." + std::to_string(i) + "." + given.substr(hint.size());
    }
    for (const auto& [ours, theirs] : prefixes)
        if (const std::size_t at = given.find(ours); at != std::string::npos) given.replace(at, ours.size(), theirs);
    return given;
}

/// Plain guidance as a method, with a third answer if blocks are named.
class Plain final : public Guidance {
public:
    explicit Plain(std::vector<std::string> blocks = {}) : blocks_(std::move(blocks)) {}
    const std::vector<std::string>& perturbed_blocks() const override { return blocks_; }
    Status run(const GuidanceCall& call) override {
        if (call.perturbed) {
            PUMICE_ASSIGN(perturbed, call.math.download(*call.perturbed));
            PUMICE_ASSIGN(cond, call.math.download(call.cond));
        }
        return call.math.combine(call.denoised, {{call.scale, call.cond}, {1 - call.scale, call.uncond}});
    }
    std::vector<float> perturbed, cond;

private:
    std::vector<std::string> blocks_;
};

}  // namespace

TEST_CASE("a control counts by its weight, and only between its start and its end") {
    Tiny t;
    const auto without = t.step({}, {}), with = t.step(list(t.control(1)), {});
    CHECK(difference(with, without) > 0.1);
    CHECK(t.step(list(t.control(0)), {}) == without);
    // Two halves are a whole: their residuals are added one after the other.
    std::vector<Control> two = list(t.control(0.25));
    two.push_back(t.control(0.75));
    CHECK(difference(t.step(std::move(two), {}), with) < 1e-3 * difference(with, without));

    const auto part = [&](double progress) {
        Control control = t.control(1);
        control.start = 0.25;
        control.end = 0.5;
        return t.step(list(std::move(control)), {.progress = progress});
    };
    CHECK(part(0.2) == without);
    CHECK(part(0.25) == with);
    CHECK(part(0.5) == with);
    CHECK(part(0.55) == without);
}

TEST_CASE("control modes: soft weights, and the conditional prediction alone") {
    Tiny t;
    const double scale = 5;
    const auto plain = t.step({}, {.scale = scale}), cond_plain = t.step({}, {.scale = 1});
    const auto balanced = t.step(list(t.control(1)), {.scale = scale});
    const auto prompt = t.step(list(t.control(1, ControlMode::prompt)), {.scale = scale});
    const auto cond_prompt = t.step(list(t.control(1, ControlMode::prompt)), {.scale = 1});
    CHECK(difference(prompt, balanced) > 0.05);
    CHECK(difference(prompt, plain) > 0.05);
    // With the control on one side: uncond + scale * (cond with control - uncond).
    std::vector<float> expected(plain.size());
    for (std::size_t i = 0; i < plain.size(); ++i) {
        const double uncond = (double(plain[i]) - scale * double(cond_plain[i])) / (1 - scale);
        expected[i] = static_cast<float>(uncond + scale * (double(cond_prompt[i]) - uncond));
    }
    CHECK(difference(t.step(list(t.control(1, ControlMode::control)), {.scale = scale}), expected) < 1e-3);
    // Prompts of unequal length are two evaluations, of which one has the control.
    t.uncond = {154, 16, numbers(154 * 16, 5)};
    const auto longer = t.step({}, {.scale = scale});
    for (std::size_t i = 0; i < plain.size(); ++i) {
        const double uncond = (double(longer[i]) - scale * double(cond_plain[i])) / (1 - scale);
        expected[i] = static_cast<float>(uncond + scale * (double(cond_prompt[i]) - uncond));
    }
    CHECK(difference(t.step(list(t.control(1, ControlMode::control)), {.scale = scale}), expected) < 1e-3);
}

TEST_CASE("the prediction without the prompt comes too, whatever the scale") {
    Tiny t;
    for (const std::uint32_t tokens : {77u, 154u}) {  // one evaluation, or one for each prompt
        t.uncond = {tokens, 16, numbers(tokens * 16, 5)};
        const auto plain = t.step({}, {.scale = 5}), cond = t.step({}, {.scale = 1});
        std::vector<float> uncond(plain.size()), weak(plain.size());
        for (std::size_t i = 0; i < plain.size(); ++i) {
            const double without = (double(plain[i]) - 5 * double(cond[i])) / (1 - 5);
            uncond[i] = static_cast<float>(without);
            weak[i] = static_cast<float>(without + 0.4 * (double(cond[i]) - without));
        }
        CHECK(difference(cond, uncond) > 0.1);
        for (const auto& [scale, factor] : {std::pair{5.0, 0.08}, {1.0, 0.4}, {0.5, 0.8}}) {
            INFO(tokens << " " << scale);
            const auto got = t.answers({}, {.scale = scale}, factor);
            CHECK(difference(got.denoised, weak) < 1e-3);
            CHECK(difference(got.uncond, uncond) < 1e-3);
        }
        // A method of guidance is given the weaker scale.
        Plain method;
        const auto joined = t.answers({}, {.scale = 5, .method = &method}, 0.08);
        CHECK(difference(joined.denoised, weak) < 1e-3);
        CHECK(difference(joined.uncond, uncond) < 1e-3);
    }
}

TEST_CASE("a ControlNet in any layout is the same network; what is none says so") {
    Tiny t;
    TemporaryFolder folder;
    const auto with = t.step(list(t.control(1)), {});
    const fs::path file = folder.path() / "c.safetensors";
    write_renamed(file, [](const std::string& name) { return name.substr(std::string("control_model.").size()); });
    CHECK(t.step(list(t.control(1, ControlMode::balanced, file.string())), {}) == with);
    write_renamed(file, diffusers_name);
    CHECK(t.step(list(t.control(1, ControlMode::balanced, file.string())), {}) == with);

    write_renamed(file, [](const std::string& name) {
        return name == "control_model.middle_block_out.0.weight" ? "control_model.other" : name;
    });
    const auto damaged = t.open(file.string());
    REQUIRE(!damaged);
    CHECK(damaged.error().code == Code::bad_format);
    CHECK(damaged.error().message.find("has no tensor control_model.middle_block_out.0.weight") != std::string::npos);
    const auto other = t.open(kGoldens + "sd1/sd1_tiny.safetensors");
    REQUIRE(!other);
    CHECK(other.error().code == Code::unsupported);
    CHECK(other.error().message.find("no model of a kind of control that the plugins know (controlnet, t2i_adapter)") !=
          std::string::npos);
    CHECK(t.open((folder.path() / "absent").string()).error().code == Code::not_found);
}

TEST_CASE("a control network that fails ends the picture with its name, and the engine goes on") {
    Tiny t;
    TemporaryFolder folder;
    for (const char* fault :
         {"methods_none", "control_throws", "control_fails", "control_shape", "control_place", "init_miscompiles"})
        fs::copy_file(fs::path(PUMICE_BAD_PLUGINS) / (std::string(fault) + ".so"),
                      folder.path() / (std::string(fault) + ".so"));
    plugins::RegistryOptions options;
    options.builtin = PUMICE_BUILTIN_PLUGINS;
    options.probe = PUMICE_PROBE;
    options.places = {{"user", folder.path()}};
    t.registry = ok(plugins::Registry::create(std::move(options)));
    const auto run = [&](const std::string& fault) -> Status {
        Control control = t.control(1);
        control.network = ok(
            plugins::open_control(*t.registry, "test_" + fault, {.path = kControlNet, .unet = t.model->config().unet},
                                  {.device = gpu().device, .kernels = t.kernels, .precision = Precision::fp32}, {}));
        const Shape shape{1, 8, 8, 4};
        PUMICE_ASSIGN(const auto math, GpuTensorMath::create(gpu().device, *t.kernels, shape, Precision::fp32,
                                                             [](std::span<float>) { return Status{}; }));
        PUMICE_ASSIGN(const auto set, ControlSet::create(*t.model, list(std::move(control)), shape));
        PUMICE_ASSIGN(
            const auto denoiser,
            GuidedDenoiser::create(*t.model, *math, shape, {.scale = 5, .method = nullptr, .controls = set.get()}));
        const std::vector<const Conditioning*> conds{&t.cond}, unconds{&t.uncond};
        PUMICE_TRY(denoiser->set_progress(0));
        PUMICE_TRY(denoiser->set_conditioning(conds, unconds));
        PUMICE_ASSIGN(const Latent x, math->create_latent());
        PUMICE_ASSIGN(const Latent denoised, math->create_latent());
        return denoiser->denoise(x, 2, denoised);
    };
    const auto message = [&](const std::string& fault) {
        const Status status = run(fault);
        return status ? "" : status.error().message;
    };
    CHECK(message("control_throws") ==
          "plugin test.control_throws: control test_control_throws: step: it threw an "
          "exception: no more");
    CHECK(message("control_fails") == "plugin test.control_fails: control test_control_fails: step: it is too much");
    CHECK(message("control_place").find("add of node ") != std::string::npos);
    CHECK(message("control_place").find("plugin test.control_place: ") == 0);
    CHECK(message("control_shape").find("plugin test.control_shape: control test_control_shape: input_blocks.0") == 0);
    ok(run("methods_none"));
    const auto made = plugins::open_control(
        *t.registry, "test_init_miscompiles", {.path = kControlNet, .unet = t.model->config().unet},
        {.device = gpu().device, .kernels = t.kernels, .precision = Precision::fp32}, {});
    REQUIRE(!made);
    CHECK(made.error().message.find("plugin test.init_miscompiles: ") == 0);
    CHECK(made.error().message.find("broken.comp:2: error: 'wrong'") != std::string::npos);
}

TEST_CASE("a method of guidance gets the predictions apart, and a perturbed one if it asks") {
    Tiny t;
    Plain plain;
    const auto fused = t.step({}, {});
    CHECK(difference(t.step({}, {.method = &plain}), fused) < 1e-4);
    const Conditioning longer{154, 16, numbers(154 * 16, 5)};
    t.uncond = longer;
    CHECK(difference(t.step({}, {.method = &plain}), t.step({}, {})) < 1e-4);
    t.uncond = {77, 16, numbers(77 * 16, 2)};
    // Without guidance there is one prediction.
    CHECK(difference(t.step({}, {.scale = 1, .method = &plain}), t.step({}, {.scale = 1})) < 1e-5);

    // Where the middle block has one token, attention to itself is all there is.
    Plain third({"middle_block"});
    CHECK(difference(t.step({}, {.method = &third, .side = 4}), t.step({}, {.side = 4})) < 1e-4);
    CHECK(difference(third.perturbed, third.cond) < 1e-5);
    t.step({}, {.method = &third});
    CHECK(difference(third.perturbed, third.cond) > 1e-3);
    // A block without attention changes nothing.
    Plain none({"input_blocks.2"});
    t.step({}, {.method = &none});
    CHECK(difference(none.perturbed, none.cond) < 1e-5);
}

TEST_CASE("methods of guidance on the device: each picture by itself") {
    Tiny t;
    const Shape shape{2, 6, 7, 4};
    const auto math = ok(GpuTensorMath::create(gpu().device, *t.kernels, shape, Precision::exact,
                                               [](std::span<float>) { return Status{}; }));
    const std::size_t picture = shape.elements() / 2;
    std::vector<Latent> latents;
    std::vector<std::vector<float>> given;
    for (std::uint64_t i = 0; i < 5; ++i) {
        latents.push_back(ok(math->create_latent()));
        given.push_back(numbers(shape.elements(), 20 + i));
    }
    for (const GuidanceCase& c : guidance_cases()) {
        INFO(c.name << " at scale " << c.scale);
        for (std::size_t i = 0; i < 4; ++i) ok(math->upload(latents[i], given[i]));
        const auto method = ok(t.registry->make_guidance(c.name, c.params, {}));
        ok(method->run({.math = *math,
                        .x = latents[0],
                        .cond = latents[1],
                        .uncond = latents[2],
                        .perturbed = c.name == "perturbed_attention" ? &latents[3] : nullptr,
                        .denoised = latents[4],
                        .sigma = c.sigma,
                        .scale = c.scale}));
        const auto got = ok(math->download(latents[4]));
        for (std::size_t n = 0; n < 2; ++n) {
            const auto of = [&](std::size_t i) { return std::span(given[i]).subspan(n * picture, picture); };
            const auto want = c.reference(c, of(0), of(1), of(2), of(3));
            double worst = 0;
            for (std::size_t i = 0; i < picture; ++i)
                worst = std::max(worst, std::fabs(double(got[n * picture + i]) - want[i]));
            CHECK(worst < 2e-5 * c.scale);
        }
    }
}

namespace {

/// {c, h, w} in double.
struct Planes {
    std::size_t c = 0, h = 0, w = 0;
    std::vector<double> v;
    double at(std::size_t k, std::ptrdiff_t y, std::ptrdiff_t x) const {
        const bool inside = y >= 0 && x >= 0 && y < std::ptrdiff_t(h) && x < std::ptrdiff_t(w);
        return inside ? v[(k * h + std::size_t(y)) * w + std::size_t(x)] : 0;
    }
};

/// A T2I-Adapter of one block a level, with weights of its own, and what it computes.
struct AdapterFile {
    std::map<std::string, std::vector<float>> weights;
    nlohmann::ordered_json header;
    std::string data;

    void add(const std::string& name, const std::vector<std::size_t>& shape, double scale) {
        std::size_t count = 1;
        for (const std::size_t side : shape) count *= side;
        std::vector<float> values = numbers(count, 100 + weights.size());
        for (float& v : values) v *= static_cast<float>(scale);
        header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {data.size(), data.size() + 4 * count}}};
        data.append(reinterpret_cast<const char*>(values.data()), 4 * count);
        weights[name] = std::move(values);
    }
    void conv(const std::string& name, std::size_t out, std::size_t in, std::size_t k) {
        add(name + ".weight", {out, in, k, k}, 1 / std::sqrt(double(in * k * k)));
        add(name + ".bias", {out}, 0.1);
    }
    AdapterFile() {
        conv("conv_in", 32, 192, 3);
        for (std::size_t i = 0; i < 4; ++i) {
            const std::string body = "body." + std::to_string(i);
            const std::size_t c = i < 2 ? 32 : 64;
            if (i == 2) conv(body + ".in_conv", 64, 32, 1);
            conv(body + ".block1", c, c, 3);
            conv(body + ".block2", c, c, 1);
        }
    }
    void write(const fs::path& file) const {
        const std::string text = header.dump();
        const std::uint64_t size = text.size();
        std::string start(8, '\0');
        std::memcpy(start.data(), &size, 8);
        std::ofstream(file, std::ios::binary) << start << text << data;
    }
    Planes apply(const std::string& name, const Planes& x, bool relu = false) const {
        const auto& w = weights.at(name + ".weight");
        const auto& b = weights.at(name + ".bias");
        const std::size_t k = w.size() / b.size() / x.c == 9 ? 3 : 1;
        Planes y{b.size(), x.h, x.w, std::vector<double>(b.size() * x.h * x.w)};
        for (std::size_t o = 0; o < y.c; ++o)
            for (std::size_t i = 0; i < x.h * x.w; ++i) {
                double sum = double(b[o]);
                for (std::size_t c = 0; c < x.c; ++c)
                    for (std::size_t t = 0; t < k * k; ++t)
                        sum += double(w[(o * x.c + c) * k * k + t]) *
                               x.at(c, std::ptrdiff_t(i / x.w + t / k) - std::ptrdiff_t(k / 2),
                                    std::ptrdiff_t(i % x.w + t % k) - std::ptrdiff_t(k / 2));
                y.v[o * x.h * x.w + i] = relu ? std::max(0.0, sum) : sum;
            }
        return y;
    }
};

}  // namespace

TEST_CASE("a T2I-Adapter's features are those of its formulas, and go to the ends of the levels") {
    Tiny t;
    TemporaryFolder folder;
    const AdapterFile adapter;
    const std::string file = (folder.path() / "adapter.safetensors").string();
    adapter.write(file);
    const auto control = ok(t.open(file));
    OperatorRun run(Precision::fp32);
    std::vector<float> pixels = numbers(64 * 64 * 4, 9);
    for (std::size_t i = 3; i < pixels.size(); i += 4) pixels[i] = 0;
    const auto kept = control->prepare(run.graph, run.input({1, 64, 64, 4}, pixels));
    REQUIRE(!run.graph.error());
    REQUIRE(kept.size() == 4);
    const auto residuals = control->step(run.graph, {.x = kept[0], .timesteps = {}, .context = {}, .prepared = kept});
    ok(control->flush());
    run.run({kept[0], kept[1], kept[2], kept[3]});

    Planes x{192, 8, 8, std::vector<double>(192 * 64)};  // a cell of 8x8 pixels of a channel is 64 channels
    for (std::size_t c = 0; c < 192; ++c)
        for (std::size_t i = 0; i < 64; ++i)
            x.v[c * 64 + i] = double(pixels[((i / 8 * 8 + c % 64 / 8) * 64 + i % 8 * 8 + c % 8) * 4 + c / 64]);
    x = adapter.apply("conv_in", x);
    const std::array<std::string, 4> places = {"input_blocks.2", "input_blocks.5", "input_blocks.8", "input_blocks.11"};
    for (std::size_t level = 0; level < 4; ++level) {
        INFO("level " << level);
        if (level > 0) {
            Planes half{x.c, x.h / 2, x.w / 2, {}};
            for (std::size_t c = 0; c < x.c; ++c)
                for (std::ptrdiff_t y = 0; y < std::ptrdiff_t(half.h); ++y)
                    for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(half.w); ++i)
                        half.v.push_back((x.at(c, 2 * y, 2 * i) + x.at(c, 2 * y, 2 * i + 1) +
                                          x.at(c, 2 * y + 1, 2 * i) + x.at(c, 2 * y + 1, 2 * i + 1)) /
                                         4);
            x = std::move(half);
        }
        const std::string body = "body." + std::to_string(level);
        if (adapter.weights.contains(body + ".in_conv.weight")) x = adapter.apply(body + ".in_conv", x);
        Planes h = adapter.apply(body + ".block2", adapter.apply(body + ".block1", x, true));
        for (std::size_t i = 0; i < h.v.size(); ++i) h.v[i] += x.v[i];
        x = std::move(h);
        const auto got = run.floats(kept[level]);
        REQUIRE(got.size() == x.v.size());
        double worst = 0;
        for (std::size_t i = 0; i < got.size(); ++i)
            worst = std::max(worst, std::fabs(double(got[i]) - x.v[i % x.c * x.h * x.w + i / x.c]));
        CHECK(worst < 1e-4);
        CHECK(residuals[level].block == places[level]);
        CHECK(residuals[level].to_output);
    }
}
