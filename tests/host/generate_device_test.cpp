// `pumice generate` on a device: pictures, reports, cancelling, and an error of its own for each kind of damage.
#include <signal.h>

#include <algorithm>
#include <optional>

#include <nlohmann/json.hpp>

#include "catch.hpp"
#include "host/checkpoint.hpp"
#include "host/process.hpp"
#include "image/png.hpp"
#include "pumice/pumice.hpp"
#include "temporary_folder.hpp"

using namespace pumice::test;
namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

/// A small picture of the tiny model: enough to go through everything.
std::vector<std::string> generate(const fs::path& model, std::vector<std::string> more) {
    std::vector<std::string> arguments = {"generate", "-m", model.string(), "-p",      "a boat", "-W",
                                          "64",       "-H", "64",           "--steps", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

/// Nothing on stdout, one line on stderr, no file.
void check_fails(const Finished& finished, int status, const std::string& message, const fs::path& folder = {}) {
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(finished.err == "pumice: " + message + "\n");
    if (!folder.empty()) CHECK(fs::is_empty(folder));
}

std::size_t lines(const std::string& text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("generate writes a picture and says how it was made") {
    TemporaryFolder folder;
    const std::string file = (folder.path() / "out.png").string();
    const Finished made =
        run({.arguments = generate(tiny_checkpoint(), {"-o", file, "--seed", "7", "-n", "fog", "--json"}),
             .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", folder.path().string()}}});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const Json report = Json::parse(made.out);
    CHECK(report["files"] == Json{file});
    CHECK(report["seed"] == 7);
    CHECK(report["timings"]["steps"].size() == 2);
    for (const char* stage : {"load", "text", "decode", "write", "total"}) {
        INFO(stage);
        CHECK(report["timings"][stage].get<double>() > 0);
    }
    CHECK(report["memory"]["device_peak"].get<double>() > 1e6);
    CHECK(report["memory"]["host_peak"].get<double>() > 1e6);
    CHECK(report["model"]["sha256"].get<std::string>().size() == 64);
    const std::string png = read_file(file);
    CHECK(png.find("a boat\nNegative prompt: fog\nSteps: 2, Sampler: ") != std::string::npos);
    CHECK(png.find("Seed: 7, Size: 64x64, Model hash: " + report["model"]["sha256"].get<std::string>().substr(0, 10) +
                   ", Model: sd1_tiny, RNG: CPU, Version: pumice ") != std::string::npos);
    // The pipeline cache is where XDG says.
    CHECK(fs::exists(folder.path() / ".cache" / "pumice"));
}

TEST_CASE("a picture of a batch is what it would be alone; progress goes to stderr, names to stdout") {
    TemporaryFolder folder;
    const Finished batch = run(
        {.arguments = generate(tiny_checkpoint(), {"-o", "a.png", "--seed", "4", "-b", "2"}), .folder = folder.path()});
    INFO(batch.err);
    REQUIRE(batch.status == 0);
    CHECK(batch.out == "a.png\na-2.png\n");
    CHECK(batch.err.find("step 2/2") != std::string::npos);
    CHECK(batch.err.find("seed 4, 64x64, 2 steps in ") != std::string::npos);
    CHECK(batch.err.find('\r') == std::string::npos);

    const Finished again =
        run({.arguments = generate(tiny_checkpoint(), {"--seed", "4", "-b", "2", "-q"}), .folder = folder.path()});
    REQUIRE(again.status == 0);
    CHECK(again.out == "pumice-0001.png\npumice-0002.png\n");
    CHECK(again.err.empty());
    // The same seed gives the same bytes, parameters and all.
    CHECK(read_file(folder.path() / "a.png") == read_file(folder.path() / "pumice-0001.png"));
    CHECK(read_file(folder.path() / "a-2.png") == read_file(folder.path() / "pumice-0002.png"));
    CHECK(read_file(folder.path() / "a.png") != read_file(folder.path() / "a-2.png"));
}

TEST_CASE("variations of a seed resemble it, each by its own number") {
    TemporaryFolder folder;
    const auto make = [&](const std::string& name, std::vector<std::string> more) {
        const std::string file = (folder.path() / name).string();
        more.insert(more.end(), {"-o", file, "--seed", "7", "-q"});
        const Finished made = run({.arguments = generate(tiny_checkpoint(), more)});
        INFO(made.err);
        REQUIRE(made.status == 0);
        return file;
    };
    const std::string plain = read_file(make("plain.png", {}));
    const std::string both = make("both.png", {"--variation-seed", "20", "--variation-strength", "0.3", "-b", "2"});
    const std::string second = make("second.png", {"--variation-seed", "21", "--variation-strength", "0.3"});
    // The pictures of a batch have one seed, and variations that follow each other.
    CHECK(read_file(folder.path() / "both-2.png") == read_file(second));
    CHECK(read_file(both) != read_file(second));
    CHECK(read_file(second) != plain);
    CHECK(read_file(second).find("Seed: 7, ") != std::string::npos);
    CHECK(read_file(second).find("Variation seed: 21, Variation seed strength: 0.3") != std::string::npos);
    CHECK(read_file(make("same.png", {"--variation-seed", "20", "--variation-strength", "0"})) == plain);
    const std::string resized = read_file(make("resized.png", {"--seed-width", "128", "--seed-height", "96"}));
    CHECK(resized.find("Seed resize from: 128x96") != std::string::npos);
    CHECK(resized != plain);
    const Finished again = run({.arguments = {"generate", "--from", (folder.path() / "second.png").string(), "-m",
                                              tiny_checkpoint().string(), "-o", (folder.path() / "again.png").string(), "-q"}});
    INFO(again.err);
    REQUIRE(again.status == 0);
    CHECK(read_file(folder.path() / "again.png") == read_file(second));
    const std::string tiled = read_file(make("tiled.png", {"--seamless", "both"}));
    CHECK(tiled.find("Tiling: True") != std::string::npos);
    CHECK(tiled != plain);
}

TEST_CASE("a grid shows the pictures that its options make alone") {
    TemporaryFolder folder;
    const auto make = [&](const std::string& name, std::vector<std::string> more) {
        more.insert(more.end(), {"-o", (folder.path() / name).string(), "-q"});
        const Finished made = run({.arguments = generate(tiny_checkpoint(), more)});
        INFO(made.err);
        REQUIRE(made.status == 0);
        auto image = pumice::host::read_png((folder.path() / name).string());
        REQUIRE(image);
        return *image;
    };
    const auto grid = make("grid.png", {"--x", "seed=4,5", "--y", "sampler=euler,ddim"});
    const std::string text = read_file(folder.path() / "grid.png");
    CHECK(text.find("Script: X/Y/Z plot, X Type: seed, X Values: \"4,5\", Y Type: sampler, Y Values: \"euler,ddim\"") !=
          std::string::npos);
    for (const char* seed : {"4", "5"})
        for (const char* sampler : {"euler", "ddim"}) {
            const auto alone = make("alone.png", {"--seed", seed, "--sampler", sampler});
            bool found = false;
            for (std::size_t y = 0; !found && y + 64 <= grid.height; ++y)
                for (std::size_t x = 0; !found && x + 64 <= grid.width; ++x) {
                    found = true;
                    for (std::size_t row = 0; found && row < 64; ++row)
                        found = std::equal(&alone.pixels[row * 64 * 3], &alone.pixels[row * 64 * 3] + 64 * 3,
                                           &grid.pixels[((y + row) * grid.width + x) * 3]);
                }
            INFO(seed << " " << sampler);
            CHECK(found);
        }
    check_fails(run({.arguments = generate(tiny_checkpoint(), {"--x", "seed=4,5", "-b", "2"}), .folder = folder.path()}), 2,
                "a grid has one picture a cell: leave --batch out");
    check_fails(run({.arguments = generate(tiny_checkpoint(), {"--prompt-matrix"}), .folder = folder.path()}), 2,
                "--prompt-matrix: the prompt has 1 parts between |: use 2 to 9");
}

TEST_CASE("damaged checkpoints are named, with the tensor, and leave no file") {
    TemporaryFolder models, pictures;
    const std::string whole = read_file(tiny_checkpoint());
    const fs::path model = models.path() / "m.safetensors";
    const auto attempt = [&](const std::string& bytes) {
        write_file(model, bytes);
        return run({.arguments = generate(model, {"-q"}), .folder = pictures.path()});
    };
    const std::string name = model.string();
    const auto fails = [&](const std::string& bytes, int status, const std::string& message) {
        check_fails(attempt(bytes), status, name + ": " + message, pictures.path());
    };
    const Safetensors parts(whole);
    const auto with_header = [&](const std::string& from, const std::string& to) {
        Safetensors changed = parts;
        const std::size_t at = changed.header.find(from);
        REQUIRE(at != std::string::npos);
        changed.header.replace(at, from.size(), to);
        return changed.file();
    };

    fails("", 5, "the file is empty");
    fails("abc", 5, "not a safetensors file: 3 bytes, shorter than its header length");
    fails(whole.substr(0, 100), 5, "header of 71624 bytes in a file of 100: it is truncated or no safetensors file");
    fails(whole.substr(0, whole.size() - 1), 5,
          "tensor 'sqrt_one_minus_alphas_cumprod': ends at byte 5157790 of the data, but the file has only 5157789: it "
          "is "
          "truncated");
    fails(whole + "x", 5, "1 bytes after the last tensor belong to no tensor");
    fails("\xff\xff\xff\xff\xff\xff\xff\x7f" + whole.substr(8), 5,
          "not a safetensors file: a header of 9223372036854775807 bytes (at most 100000000 are allowed)");
    fails(with_header("\"F16\"", "\"F17\""), 5,
          "tensor 'cond_stage_model.transformer.text_model.embeddings.position_embedding.weight': unknown dtype 'F17'");
    fails(with_header("\"data_offsets\"", "\"data_offsetx\""), 5, "tensor 'alphas_cumprod': data_offsetx has an array");
    fails(with_header("\"shape\":[32,4,3,3]", "\"shape\":[33,4,3,3]"), 5,
          "tensor 'model.diffusion_model.input_blocks.0.0.weight': shape [33, 4, 3, 3] of F16 is 2376 bytes, but "
          "data_offsets "
          "span 2304");
    fails(with_header("\"shape\":[32,4,3,3]", "\"shape\":[4,32,3,3]"), 5,
          "tensor 'model.diffusion_model.input_blocks.0.0.bias' has shape [32], but [4] is expected (and 9 more are "
          "missing "
          "or misshapen)");
    fails(with_header("model.diffusion_model.out.2.weight", "model.diffusion_model.out.2.wait"), 5,
          "tensor 'model.diffusion_model.out.2.weight' [4, 32, 3, 3] is missing");
    fails(with_header("{\"__metadata__\":{", "{\"__metadata__\":{\"pumice.defaults\":\"{\\\"steps\\\":0}\","), 5,
          "pumice.defaults: \"steps\" must be a whole number from 1 to 1000");

    // What is sound, but no model that this version runs.
    Safetensors other = parts;
    other.header = R"({"lora_unet_down.lora_up.weight":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})";
    other.data = "abcd";
    fails(other.file(), 6, "holds LoRA; this version makes pictures with Stable Diffusion 1.x, 2.x and XL checkpoints");
    other.header = R"({"x":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}})";
    fails(other.file(), 6, "holds no model of a known family");
}

TEST_CASE("the model's own defaults are used") {
    TemporaryFolder folder;
    Safetensors parts(read_file(tiny_checkpoint()));
    const std::string start = "{\"__metadata__\":{";
    REQUIRE(parts.header.rfind(start, 0) == 0);
    parts.header.insert(
        start.size(),
        R"("pumice.defaults":"{\"width\":72,\"height\":64,\"steps\":3,\"cfg\":2.5,\"sampler\":\"ddim\"}",)");
    const fs::path model = folder.path() / "m.safetensors";
    write_file(model, parts.file());
    const auto engine = pumice::Engine::create();
    REQUIRE(engine);
    const auto loaded = pumice::Model::load(*engine, model.string());
    REQUIRE(loaded);
    const pumice::Request request = loaded->defaults();
    CHECK(request.width == 72);
    CHECK(request.height == 64);
    CHECK(request.steps == 3);
    CHECK(request.guidance_scale == 2.5f);
    CHECK(request.sampler == "ddim");
    CHECK(request.schedule == "normal");

    const auto plain = pumice::Model::load(*engine, tiny_checkpoint().string());
    REQUIRE(plain);
    CHECK(plain->defaults().width == 128);  // 32 channels: far from SD 1.5's 320
    CHECK(plain->defaults().steps == 20);
}

TEST_CASE("weights that are no numbers end in an error, not in a black picture") {
    TemporaryFolder models, pictures;
    Safetensors parts(read_file(tiny_checkpoint()));
    const Json header = Json::parse(parts.header);
    const auto& range = header["model.diffusion_model.out.2.weight"]["data_offsets"];
    std::fill(parts.data.begin() + range[0].get<std::ptrdiff_t>(), parts.data.begin() + range[1].get<std::ptrdiff_t>(),
              '\xff');
    const fs::path model = models.path() / "m.safetensors";
    write_file(model, parts.file());
    check_fails(run({.arguments = generate(model, {"-q"}), .folder = pictures.path()}), 14,
                "the UNet gave NaN or infinity in fp32: the weights in " + model.string() +
                    " are damaged, or the guidance scale is far too high",
                pictures.path());
}

TEST_CASE("files that cannot be read or written are told") {
    TemporaryFolder folder;
    const std::string base = folder.path().string();
    check_fails(run_pumice(generate(folder.path() / "none.safetensors", {"-q", "-o", base + "/a.png"})), 3,
                "there is no model file " + base + "/none.safetensors", folder.path());
    check_fails(run_pumice(generate(folder.path(), {"-q", "-o", base + "/a.png"})), 5,
                base + ": a folder without model_index.json: no model of diffusers", folder.path());

    check_fails(run_pumice(generate(tiny_checkpoint(), {"-q", "-o", "/dev/full"})), 4,
                "cannot write /dev/full: the disk is full (No space left on device); make room, or choose another");
    Run limited{.arguments = generate(tiny_checkpoint(), {"-q", "-o", "/dev/null"}), .file_size_limit = 1000};
    limited.environment["PUMICE_CACHE"] = "/dev/null/none";  // its own files hit the limit too
    if (run(limited).status > 128) {
        WARN("this driver keeps its code in a file in memory, which the limit cuts too: it dies before any picture");
        return;
    }
    limited.arguments.back() = base + "/a.png";
    const Finished large = run(limited);
    CHECK(large.status == 4);
    CHECK(large.err.find("pumice: cannot write " + base +
                         "/a.png: files may not be that large here (File too large); see ulimit -f\n") !=
          std::string::npos);
    CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("requests out of range are told by the engine too") {
    auto engine = pumice::Engine::create();
    REQUIRE(engine);
    auto model = pumice::Model::load(*engine, tiny_checkpoint().string());
    REQUIRE(model);
    const auto message = [&](auto change) {
        pumice::Request request = model->defaults();
        change(request);
        const auto images = model->generate(request);
        REQUIRE_FALSE(images);
        CHECK(images.failure().status == PUMICE_INVALID_ARGUMENT);
        return images.failure().message;
    };
    CHECK(message([](auto& r) { r.width = 100; }) == "width 100: use a multiple of 8 from 64 to 16384");
    CHECK(message([](auto& r) { r.steps = 0; }) == "steps 0: use 1 to 1000");
    CHECK(message([](auto& r) { r.batch = 65; }) == "batch 65: use 1 to 64");
    CHECK(message([](auto& r) { r.guidance_scale = -1; }) == "guidance scale -1: use 0 to 100");
    CHECK(message([](auto& r) { r.clip_skip = 9; }) == "clip skip 9: the text encoder has 3 layers, use 1 to 3");
    CHECK(message([](auto& r) { r.prompt = "\xff"; }) == "the text is not UTF-8 at byte 0");

    pumice::Request request = model->defaults();
    request.sampler = "eular";
    const auto images = model->generate(request);
    REQUIRE_FALSE(images);
    CHECK(images.failure().status == PUMICE_NOT_FOUND);

    const auto none = pumice::Engine::create({.device = "no such device"});
    REQUIRE_FALSE(none);
    CHECK(none.failure().status == PUMICE_NO_DEVICE);
}

TEST_CASE("a model outlives its engine's handle, and can be used again after an error") {
    std::optional<pumice::Model> model;
    {
        auto engine = pumice::Engine::create();
        REQUIRE(engine);
        CHECK(std::string(engine->device().missing).empty());
        auto loaded = pumice::Model::load(*engine, tiny_checkpoint().string(), PUMICE_PRECISION_FP32);
        REQUIRE(loaded);
        model.emplace(*std::move(loaded));
    }
    pumice::Request request = model->defaults();
    request.prompt = "a boat";
    request.width = request.height = 64;
    request.steps = 3;
    request.seed = ~std::uint64_t(0);
    request.batch = 2;

    // Cancelled from its own callback after the first step.
    const pumice::Cancel cancel;
    request.cancel = &cancel;
    std::uint32_t last_step = 0;
    request.on_progress = [&](const pumice_progress& p) {
        if (p.stage == PUMICE_STAGE_STEP) last_step = p.step;
        if (p.stage == PUMICE_STAGE_STEP && p.step == 1) cancel.set();
    };
    const auto stopped = model->generate(request);
    REQUIRE_FALSE(stopped);
    CHECK(stopped.failure().status == PUMICE_CANCELLED);
    CHECK(last_step == 1);

    cancel.reset();
    request.on_progress = {};
    const auto images = model->generate(request);
    REQUIRE(images);
    REQUIRE(images->size() == 2);
    CHECK((*images)[0].width == 64);
    CHECK((*images)[0].rgb.size() == 64 * 64 * 3);
    CHECK((*images)[0].seed == ~std::uint64_t(0));
    CHECK((*images)[1].seed == 0);  // seeds wrap around
    CHECK(Json::parse(images->report())["precision"] == "fp32");
}

TEST_CASE("Ctrl-C ends at once, with status 130 and no file") {
    TemporaryFolder pictures;
    for (const int signal : {SIGINT, SIGTERM}) {
        Run run_long{.arguments = {"generate", "-m", tiny_checkpoint().string(), "-p", "x", "-W", "64", "-H", "64",
                                   "--steps", "1000"},
                     .folder = pictures.path(),
                     .interrupt_after = "step ",
                     .signal = signal};
        const Finished stopped = run(run_long);
        CHECK(stopped.status == 130);
        CHECK(stopped.out.empty());
        CHECK(stopped.err.find("pumice: cancelled\n") != std::string::npos);
        CHECK(stopped.seconds_to_cancel >= 0);
        CHECK(stopped.seconds_to_cancel < 3);
        CHECK(fs::is_empty(pictures.path()));
    }
    // Also before anything has begun.
    Run early{.arguments = generate(tiny_checkpoint(), {}), .folder = pictures.path(), .interrupt_after = "loading"};
    CHECK(run(early).status == 130);
    CHECK(fs::is_empty(pictures.path()));
}

TEST_CASE("devices lists what is there") {
    const Finished table = run_pumice({"devices"});
    CHECK(table.status == 0);
    CHECK(table.out.find(" #  name") == std::string::npos);  // one digit: no space before the sign
    CHECK(lines(table.out) >= 2);
    const Finished json = run_pumice({"devices", "--json"});
    REQUIRE(json.status == 0);
    const Json all = Json::parse(json.out);
    REQUIRE(all.size() == lines(table.out) - 1);
    CHECK(all[0]["missing"] == "");
    CHECK(all[0]["limits"]["max_storage_buffer_range"].get<double>() >= 128 << 20);
    CHECK(all[0]["uuid"].get<std::string>().size() == 36);
}

TEST_CASE("a picture to begin with: outside of the mask it stays, and the text says how it was used") {
    TemporaryFolder folder;
    const auto in = [&](std::vector<std::string> more) {
        return run({.arguments = generate(tiny_checkpoint(), std::move(more)),
                    .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", folder.path().string()}},
                    .folder = folder.path()});
    };
    // A picture and a mask that is white in its left half.
    std::vector<std::uint8_t> rgb(3 * 64 * 64), mask(rgb.size(), 0);
    for (std::size_t i = 0; i < rgb.size(); ++i) {
        rgb[i] = static_cast<std::uint8_t>(i * 7 % 251);
        if (i / 3 % 64 < 32) mask[i] = 255;
    }
    for (const auto& [name, pixels] : {std::pair{"init.png", &rgb}, std::pair{"mask.png", &mask}}) {
        const auto png = pumice::host::encode_png({64, 64, *pixels, ""});
        REQUIRE(png);
        write_file(folder.path() / name, {png->begin(), png->end()});
    }
    const Finished made = in({"--init-image", "init.png", "--mask", "mask.png", "--mask-blur", "0", "--strength", "0.5",
                              "--mask-fill", "noise", "--seed", "3", "-o", "out.png", "-q"});
    INFO(made.err);
    REQUIRE(made.status == 0);
    const auto out = pumice::host::read_png((folder.path() / "out.png").string());
    REQUIRE(out);
    std::size_t changed = 0;
    for (std::size_t i = 0; i < rgb.size(); ++i) {
        if (mask[i] == 0) REQUIRE(out->pixels[i] == rgb[i]);
        else if (out->pixels[i] != rgb[i]) ++changed;
    }
    CHECK(changed > rgb.size() / 4);
    CHECK(read_file(folder.path() / "out.png")
              .find("Denoising strength: 0.5, Mask blur: 0, Masked content: noise, Version") != std::string::npos);

    // Beyond its right edge and above it, with 3 pixels more to make up a multiple of 8; what was there stays.
    const Finished beyond = in({"--init-image", "init.png", "--outpaint", "right=29,top=16", "--mask-blur", "0",
                                "--strength", "1", "--seed", "3", "-o", "beyond.png", "-q"});
    INFO(beyond.err);
    REQUIRE(beyond.status == 0);
    const auto larger = pumice::host::read_png((folder.path() / "beyond.png").string());
    REQUIRE(larger);
    REQUIRE(larger->width == 96);
    REQUIRE(larger->height == 80);
    std::size_t painted = 0;
    for (std::uint32_t y = 0; y < 80; ++y)
        for (std::uint32_t x = 0; x < 96; ++x)
            for (std::uint32_t c = 0; c < 3; ++c) {
                const std::uint8_t value = larger->pixels[(std::size_t(y) * 96 + x) * 3 + c];
                const std::size_t drawn_out = (std::size_t(std::max(y, 16u) - 16) * 64 + std::min(x, 63u)) * 3 + c;
                if (y >= 16 && x < 64)
                    REQUIRE(value == rgb[drawn_out]);
                else
                    painted += value != rgb[drawn_out];
            }
    CHECK(painted > 96 * 80 * 3 / 4);
    CHECK(read_file(folder.path() / "beyond.png").find("Outpainting: left 0 top 16 right 29 bottom 0") !=
          std::string::npos);
    check_fails(in({"--init-image", "init.png", "--outpaint", "up=3", "-q"}), 2,
                "--outpaint: up=3 is not SIDE=PIXELS, with left, top, right or bottom and 0 to 8192");
    check_fails(in({"--outpaint", "left=8", "-q"}), 2,
                "--outpaint needs the picture to go on from: --init-image FILE");

    // Made again from the file alone, byte for byte, as long as its pictures are what they were.
    for (const char* made_before : {"out.png", "beyond.png"}) {
        const Finished again = run({.arguments = {"generate", "--from", made_before, "-m", tiny_checkpoint().string(), "-o",
                                                  "again.png", "-q"},
                                    .environment = {{"HOME", folder.path().string()}},
                                    .folder = folder.path()});
        INFO(again.err);
        REQUIRE(again.status == 0);
        CHECK(read_file(folder.path() / "again.png") == read_file(folder.path() / made_before));
    }

    // The size is the picture's; another picture gives another result.
    const Finished whole = in({"--init-image", "init.png", "--seed", "3", "-o", "whole.png", "-q"});
    REQUIRE(whole.status == 0);
    CHECK(read_file(folder.path() / "whole.png") != read_file(folder.path() / "out.png"));

    check_fails(in({"--init-image", "none.png", "-q"}), 3, "there is no file none.png");
    write_file(folder.path() / "init.png", read_file(folder.path() / "mask.png"));
    const Finished changed_since = run({.arguments = {"generate", "--from", "out.png", "-m", tiny_checkpoint().string(), "-q"},
                                        .environment = {{"HOME", folder.path().string()}},
                                        .folder = folder.path()});
    CHECK(changed_since.status == 5);
    CHECK(changed_since.err.find("pumice: init.png: it is not the picture that out.png was made with (SHA-256 ") == 0);
    write_file(folder.path() / "bad.png", "GIF89a");
    const Finished bad = in({"--init-image", "bad.png", "-q"});
    CHECK(bad.status == 5);
    CHECK(bad.err.find("pumice: bad.png is no PNG that can be read") == 0);
    check_fails(in({"--mask", "mask.png", "-q"}), 2, "--mask needs the picture that it lies on: --init-image FILE");
}

TEST_CASE("SD 2 and XL checkpoints make pictures, XL with another model to finish") {
    TemporaryFolder folder;
    const fs::path goldens = fs::path(PUMICE_TEST_DATA) / "goldens";
    const fs::path xl = goldens / "sdxl" / "sdxl_tiny.safetensors";
    for (const fs::path& model : {goldens / "sd2" / "sd2_tiny.safetensors", xl}) {
        const Finished made = run({.arguments = generate(model, {"-q", "-o", model.stem().string() + ".png"}),
                                   .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", folder.path().string()}},
                                   .folder = folder.path()});
        INFO(made.err);
        CHECK(made.status == 0);
    }
    const auto xl_picture = [&](std::vector<std::string> more) {
        more.insert(more.end(), {"-q", "--seed", "5", "-o", "out.png"});
        const Finished made = run({.arguments = generate(xl, std::move(more)),
                                   .environment = {{"PUMICE_VALIDATION", "1"}, {"HOME", folder.path().string()}},
                                   .folder = folder.path()});
        INFO(made.err);
        REQUIRE(made.status == 0);
        return read_file(folder.path() / "out.png");
    };
    const std::string plain = xl_picture({});
    CHECK(plain != xl_picture({"--original-width", "512", "--crop-top", "100"}));
    const std::string refined = xl_picture({"--refiner", xl.string(), "--refiner-switch", "0.5", "--prediction", "v"});
    CHECK(refined.find("Refiner: sdxl_tiny [") != std::string::npos);
    CHECK(refined.find("Refiner switch at: 0.5") != std::string::npos);
    CHECK(refined != xl_picture({"--prediction", "v"}));
}
