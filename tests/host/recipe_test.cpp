#include "image/recipe.hpp"

#include "catch.hpp"
#include "image/infotext.hpp"

using namespace pumice;
using namespace pumice::host;

namespace {

std::vector<std::uint8_t> png_with(const std::string& parameters, const std::string& recipe) {
    const std::vector<std::uint8_t> rgb(2 * 2 * 3, 7);
    const auto png = encode_png({2, 2, rgb, parameters, false, recipe});
    if (!png) FAIL(png.failure().message);
    return *png;
}

std::string failure(const Expected<Recipe>& recipe, pumice_status status) {
    if (recipe) FAIL("no failure");
    CHECK(recipe.failure().status == status);
    CHECK(recipe.failure().message.find('\n') == std::string::npos);
    return recipe.failure().message;
}

/// ComfyUI's default workflow, as SaveImage writes it.
std::string comfy(const std::string& sampler = "", const std::string& more = "",
                  const std::string& latent =
                      R"({"class_type":"EmptyLatentImage","inputs":{"width":512,"height":768,"batch_size":1}})") {
    const std::string inputs =
        sampler.empty()
            ? R"("seed":156680208700286,"steps":20,"cfg":8.0,"sampler_name":"dpmpp_2m","scheduler":"karras","denoise":1.0)"
            : sampler;
    return R"({"3":{"class_type":"KSampler","inputs":{)" + inputs +
           R"(,"model":["10",0],"positive":["6",0],"negative":["7",0],"latent_image":["5",0]}},)" +
           R"("4":{"class_type":"CheckpointLoaderSimple","inputs":{"ckpt_name":"sub\\v1-5-pruned.safetensors"}},)" +
           R"("5":)" + latent +
           R"x(,"6":{"class_type":"CLIPTextEncode","inputs":{"text":"a [red] (boat:1.2)","clip":["11",0]}},)x" +
           R"("7":{"class_type":"CLIPTextEncode","inputs":{"text":"text","clip":["11",0]}},)" +
           R"("8":{"class_type":"VAEDecode","inputs":{"samples":["3",0],"vae":["12",0]}},)" +
           R"("9":{"class_type":"SaveImage","inputs":{"filename_prefix":"ComfyUI","images":["8",0]}},)" +
           R"("10":{"class_type":"LoraLoader","inputs":{"lora_name":"style.safetensors","strength_model":0.5,"strength_clip":1,"model":["4",0],"clip":["4",1]}},)" +
           R"("11":{"class_type":"CLIPSetLastLayer","inputs":{"stop_at_clip_layer":-2,"clip":["10",1]}},)" +
           R"("12":{"class_type":"VAELoader","inputs":{"vae_name":"ft-mse.safetensors"}})" + more + "}";
}

}  // namespace

TEST_CASE("the web UI's parameters") {
    const auto recipe = parse_infotext(
        "a boat, <b>\non the sea: calm\nNegative prompt: fog,\nrain\n"
        "Steps: 25, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 4294967295, Size: 512x768, Model hash: cc6cb27103, "
        "Model: \"v1-5, pruned: emaonly\", VAE hash: 735e4c3a44, VAE: ft-mse.safetensors, Clip skip: 2, "
        "Eta: 0.67, Version: v1.7.0",
        "W");
    if (!recipe) FAIL(recipe.failure().message);
    CHECK(recipe->source == "AUTOMATIC1111's web UI v1.7.0");
    CHECK(recipe->prompt == "a boat, <b>\non the sea: calm");
    const Settings& s = recipe->settings;
    CHECK(s.negative_prompt == "fog,\nrain");
    CHECK(s.steps == 25u);
    CHECK(s.sampler == "dpmpp_2m");
    CHECK(s.schedule == "karras");
    CHECK(s.cfg == 7.5);
    CHECK(s.seed == 4294967295u);
    CHECK(s.width == 512u);
    CHECK(s.height == 768u);
    CHECK(s.clip_skip == 2u);
    CHECK(s.rng == "philox");  // noise of the GPU, where nothing else is told
    CHECK(recipe->model->hash == "cc6cb27103");
    CHECK(recipe->model->name == "v1-5, pruned: emaonly");
    CHECK(recipe->vae->name == "ft-mse");
    CHECK(recipe->others == std::vector<std::pair<std::string, std::string>>{{"Eta", "0.67"}});

    const auto newer = parse_infotext(
        "x\nSteps: 20, Sampler: DPM++ 2M SDE Heun, Schedule type: Automatic, CFG scale: 7, "
        "Seed: 1, Size: 512x512, RNG: CPU",
        "W");
    REQUIRE(newer);
    CHECK(newer->settings.sampler == "dpmpp_2m_sde");
    CHECK(newer->settings.schedule == "exponential");
    CHECK(newer->settings.plugin_params.at("sampler.solver") == "heun");
    CHECK(newer->settings.rng == "torch-cpu");
    CHECK(newer->settings.clip_skip == 1u);
    CHECK_FALSE(newer->model);
}

TEST_CASE("the web UI's words for what is more than a picture from text") {
    const auto read = [](const std::string& more) {
        auto recipe = parse_infotext("x\nSteps: 20, Sampler: Euler a, Size: 512x512, " + more, "W");
        if (!recipe) FAIL(recipe.failure().message);
        CHECK(recipe->others.empty());
        return *std::move(recipe);
    };
    const Recipe hires = read("Denoising strength: 0.45, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: 4x_foo-Sharp, "
                              "Hires sampler: DPM++ 2M, Tiling: True, Emphasis: No norm");
    CHECK(hires.settings.hires == 1.5);
    CHECK(hires.settings.hires_steps == 12u);
    CHECK(hires.settings.hires_strength == 0.45);
    CHECK_FALSE(hires.settings.strength);
    CHECK(hires.settings.hires_sampler == "dpmpp_2m");
    CHECK(hires.hires_model->file == "4x_foo-Sharp");
    CHECK(hires.settings.seamless == "both");
    CHECK(hires.settings.emphasis == "no-norm");
    CHECK_FALSE(hires.lacks_picture);
    CHECK(read("Hires upscale: 2, Hires upscaler: Lanczos").settings.hires_upscaler == "lanczos");
    CHECK_FALSE(read("Hires upscale: 2, Hires upscaler: Latent").hires_model);

    const Recipe varied = read("Variation seed: 7, Variation seed strength: 0.2, Seed resize from: 768x512, ENSD: 31337, "
                               "Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8, "
                               "Lora hashes: \"one: 0123456789ab, two: ba9876543210\", TI hashes: \"bad-hands: 00ff\"");
    CHECK(varied.settings.variation_seed == 7u);
    CHECK(varied.settings.variation_strength == 0.2);
    CHECK(varied.settings.seed_width == 768u);
    CHECK(varied.settings.eta_seed_delta == 31337u);
    CHECK(varied.refiner->name == "sd_xl_refiner_1");  // its ending is cut off, as of a file
    CHECK(varied.refiner->hash == "7440042bbd");
    CHECK(varied.settings.refiner_switch == 0.8);
    REQUIRE(varied.loras.size() == 2);
    CHECK(varied.loras[1].name == "two");
    CHECK(varied.embeddings.at(0).name == "bad-hands");

    const Recipe inpainted = read("Denoising strength: 0.6, Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32");
    CHECK(inpainted.settings.strength == 0.6);
    CHECK(inpainted.lacks_picture);
    CHECK(inpainted.lacks_mask);
    CHECK(inpainted.only_masked);
    CHECK(inpainted.settings.mask_padding == 32u);
}

TEST_CASE("a configuration changes nothing of a picture that is made again") {
    Settings settings;
    settings.hires = 2;
    settings.vae = "other.safetensors";
    settings.plugin_params["sampler.eta"] = "1";
    settings.precision = "exact";
    settings.loras_folder = "loras";
    const Settings rest = without_picture(settings);
    CHECK_FALSE(rest.hires);
    CHECK_FALSE(rest.vae);
    CHECK(rest.plugin_params.empty());
    CHECK(rest.precision == "exact");
    CHECK(rest.loras_folder == "loras");
}

TEST_CASE("damaged parameters are refused with what and where") {
    CHECK(failure(parse_infotext("only a prompt", "P"), PUMICE_BAD_FORMAT).find("P: its last line has no settings") ==
          0);
    CHECK(failure(parse_infotext("x\nSteps: many, Sampler: Euler a, CFG scale: 7", "P"), PUMICE_BAD_FORMAT) ==
          "P: Steps: many is not a whole number from 1 to 1000");
    CHECK(failure(parse_infotext("x\nSteps: 2, Sampler: Euler a, Size: 512", "P"), PUMICE_BAD_FORMAT) ==
          "P: Size: 512 is not WIDTHxHEIGHT");
    CHECK(failure(parse_infotext("x\nSteps: 2, Sampler: Euler a, Size: 510x512", "P"), PUMICE_BAD_FORMAT)
              .find("P: Size: 510 is not a multiple of 8") == 0);
}

TEST_CASE("every sampler and schedule of the web UI's labels is known by them") {
    for (const char* name :
         {"euler", "euler_a", "ddim", "heun", "dpm2", "dpm2_a", "dpmpp_2s_a", "dpmpp_sde", "lcm", "restart", "dpm_fast",
          "dpm_adaptive", "dpmpp_2m", "dpmpp_2m_sde", "dpmpp_3m_sde", "lms", "plms", "deis", "unipc"})
        for (const char* schedule : {"normal", "karras", "exponential", "simple", "sgm_uniform", "polyexponential",
                                     "beta", "align_your_steps", "kl_optimal"}) {
            PictureInfo info;
            info.prompt = "x";
            info.steps = 5;
            info.sampler = name;
            info.schedule = schedule;
            info.width = info.height = 512;
            const auto recipe = parse_infotext(infotext(info), "P");
            REQUIRE(recipe);
            CHECK(recipe->settings.sampler == name);
            if (std::string(name) != "ddim") CHECK(recipe->settings.schedule == schedule);
        }
    CHECK(sampler_named("uni_pc_bh2").params.at("sampler.variant") == "bh2");
    CHECK(sampler_named("dpmpp_2m_sde_gpu").sampler == "dpmpp_2m_sde");
    CHECK(sampler_named("new_sampler").sampler == "new_sampler");
}

TEST_CASE("ComfyUI's graph of standard nodes") {
    const auto recipe = parse_comfy_prompt(comfy(), "P");
    if (!recipe) FAIL(recipe.failure().message);
    CHECK(recipe->source == "ComfyUI");
    CHECK(recipe->prompt == "a \\[red\\] (boat:1.2) <lora:style:1:0.5>");
    CHECK(recipe->settings.negative_prompt == "text");
    CHECK(recipe->settings.seed == 156680208700286u);
    CHECK(recipe->settings.steps == 20u);
    CHECK(recipe->settings.cfg == 8.0);
    CHECK(recipe->settings.sampler == "dpmpp_2m");
    CHECK(recipe->settings.schedule == "karras");
    CHECK(recipe->settings.width == 512u);
    CHECK(recipe->settings.height == 768u);
    CHECK(recipe->settings.clip_skip == 2u);
    CHECK(recipe->settings.rng == "torch-cpu");
    CHECK(recipe->model->name == "v1-5-pruned");
    CHECK(recipe->vae->name == "ft-mse");

    const std::string linked =
        R"("seed":["20",0],"steps":20,"cfg":8,"sampler_name":"euler_ancestral","scheduler":"normal","denoise":1)";
    const auto primitive =
        parse_comfy_prompt(comfy(linked, R"(,"20":{"class_type":"PrimitiveNode","inputs":{"value":77}})"), "P");
    if (!primitive) FAIL(primitive.failure().message);
    CHECK(primitive->settings.seed == 77u);
    CHECK(primitive->settings.sampler == "euler_a");
}

TEST_CASE("what of a graph cannot be repeated is named") {
    CHECK(failure(parse_comfy_prompt("[1", "P"), PUMICE_BAD_FORMAT) == "P: it is no JSON object of nodes");
    CHECK(failure(parse_comfy_prompt("{}", "P"), PUMICE_UNSUPPORTED).find("it has no node KSampler") !=
          std::string::npos);
    CHECK(failure(parse_comfy_prompt(R"({"1":{"class_type":"X"}})", "P"), PUMICE_BAD_FORMAT) ==
          "P: node 1 has no class_type or no inputs");
    CHECK(failure(parse_comfy_prompt(comfy("", "", R"({"class_type":"VAEEncode","inputs":{}})"), "P"),
                  PUMICE_UNSUPPORTED) ==
          "P: node 5 (VAEEncode) is where the picture begins, but only EmptyLatentImage is understood");
    CHECK(failure(parse_comfy_prompt(comfy("", R"(,"30":{"class_type":"KSampler","inputs":{}})"), "P"),
                  PUMICE_UNSUPPORTED)
              .find("is a second sampler") != std::string::npos);
    // A circle.
    CHECK(failure(parse_comfy_prompt(comfy(R"("seed":["20",0],"steps":1,"cfg":1,"sampler_name":"x","scheduler":"y")",
                                           R"(,"20":{"class_type":"A","inputs":{"value":["20",0]}})"),
                                     "P"),
                  PUMICE_BAD_FORMAT)
              .find("has no value") != std::string::npos);
}

TEST_CASE("Pumice's own text says everything, and goes before the others") {
    Recipe recipe;
    recipe.source = "Pumice 9";
    recipe.prompt = "caf\xC3\xA9 \xE5\xB1\xB1";
    recipe.settings.seed = 18446744073709551615u;
    recipe.settings.cfg = 4.1;
    recipe.settings.sampler = "euler";
    recipe.settings.model = "/home/me/secret.safetensors";
    recipe.settings.batch = 4;
    recipe.settings.precision = "exact";
    recipe.settings.plugin_params["sampler.eta"] = "0.5";
    recipe.filters = {"sharpen"};
    recipe.controls = {{"model=a,image=b.png", "00ff"}};
    recipe.model = Recipe::File{"abc", "secret"};
    recipe.settings.hires_model = "/home/me/4x.pth";
    recipe.hires_model = Recipe::Input{"4x.pth", "12"};
    recipe.loras = {{"one", "", "34"}, {"two", "folder/two.safetensors", "56"}};
    recipe.embeddings = {{"three", "", "78"}};
    const std::string text = recipe_text(recipe);
    CHECK(text.find("/home") == std::string::npos);
    const auto png = png_with("x\nSteps: 1, Sampler: Euler, Size: 64x64", text);
    const auto texts = decode_png_texts(png, "a.png");
    if (!texts) FAIL(texts.failure().message);
    CHECK(texts->width == 2);
    REQUIRE(texts->texts.size() == 2);
    const auto read = read_recipe(texts->texts, "a.png");
    if (!read) FAIL(read.failure().message);
    CHECK(recipe_text(*read) == text);
    CHECK(read->settings.seed == 18446744073709551615u);
    CHECK(read->settings.cfg == 4.1);
    CHECK_FALSE(read->settings.model);
    CHECK_FALSE(read->settings.batch);

    CHECK(failure(read_recipe({}, "a.png"), PUMICE_BAD_FORMAT) ==
          "a.png: it has no text that tells how it was made (pumice, parameters or prompt)");
    const auto own = [](const std::string& json) { return parse_recipe_text(json, "W"); };
    CHECK(failure(own("{"), PUMICE_BAD_FORMAT) == "W: it is no JSON object");
    CHECK(failure(own(R"({"prompt":1})"), PUMICE_BAD_FORMAT) == "W: \"prompt\" is no text");
    CHECK(failure(own(R"({"settings":{"generate.steps":"0"}})"), PUMICE_BAD_FORMAT) ==
          "W: generate.steps: 0 is not a whole number from 1 to 1000");
    CHECK(failure(own(R"({"settings":{"paths.output":"/etc"}})"), PUMICE_UNSUPPORTED) ==
          "W: paths.output: this version does not know it");
    CHECK(failure(own(R"({"settings":{},"controls":[1]})"), PUMICE_BAD_FORMAT) ==
          "W: \"controls\" is not as Pumice writes it");
}

TEST_CASE("a PNG whose text is damaged is refused") {
    auto png = png_with("x\nSteps: 1, Sampler: Euler, Size: 64x64", "{}");
    const std::string bytes(png.begin(), png.end());
    const std::size_t at = bytes.find("Sampler");
    REQUIRE(at != std::string::npos);
    png[at] = 'X';
    const auto damaged = decode_png_texts(png, "a.png");
    REQUIRE_FALSE(damaged);
    CHECK(damaged.failure().status == PUMICE_BAD_FORMAT);
    CHECK(damaged.failure().message == "a.png is no PNG that can be read: tEXt: CRC error");
    png.resize(60);
    CHECK_FALSE(decode_png_texts(png, "a.png"));
    CHECK_FALSE(decode_png_texts({}, "a.png"));
}
