#include "cli/help.hpp"

#include <fmt/format.h>

#include "cli/exit_codes.hpp"
#include "config/settings.hpp"
#include "pumice/pumice.hpp"

namespace pumice::cli {
namespace {

constexpr std::string_view kMain = R"(Pumice makes pictures from text with Stable Diffusion, on any GPU with Vulkan.

  pumice generate -p "a lighthouse at sunset" -o lighthouse.png

Commands:
  generate          make pictures from a prompt
  upscale           make a picture larger
  preprocess        make the picture that a control network is given
  plan              say beforehand what a picture takes of the device's memory
  devices           list the devices that can do it
  info              say how a picture was made
  models            list, inspect and verify model files
  convert           write a model in another format, with other types, or pruned
  bench             measure a device, and compare measured ones
  plugins           list samplers, schedules and other plugins; turn them on and off

Options:
  -h, --help        this text; with a command, its options
  -V, --version     version, commit, Vulkan, compiler

Exit status:
{exit_codes}
Manual and source: see the README that came with Pumice.
)";

constexpr std::string_view kGenerate = R"(Make pictures from a prompt.

  pumice generate -p PROMPT [options]

What to make:
      --from PICTURE      make this picture again, from what its file tells: prompt, seed, steps, sampler, size, model, ...
                          (Pumice's own, AUTOMATIC1111's and ComfyUI's PNG files); options here go before it
  -p, --prompt TEXT       what the picture shows. (word:1.2) stresses, [word] weakens, BREAK starts a new chunk,
                          AND joins several prompts
  -n, --negative TEXT     what it should not show
  -W, --width PIXELS      a multiple of 8, {width}; by default what the model was made for
  -H, --height PIXELS     likewise
  -b, --batch N           that many pictures, {batch}; their seeds follow each other
      --count N           that many times as many, one after the other; seeds go on
      --init-image FILE   begin with this picture (PNG) instead of noise; the size is then the picture's by default
      --outpaint SIDE=PIXELS,...
                          go on painting beyond the picture's left, top, right or bottom edge; made up to multiples of 8
      --mask FILE         paint anew only where this picture (PNG) is white; of the same size
      --seed N            the same seed gives the same picture; by default a random one, which is printed
      --variation-seed N, --variation-strength X
                          mix the seed's noise with this one's, 0 to 1: pictures that resemble each other
      --seed-width PIXELS, --seed-height PIXELS
                          make the picture resemble what the seed gives in that size
      --seamless AXES     x, y or both: the picture can be laid beside itself without a seam
      --tile WIDTHxHEIGHT the network sees tiles of this size, for pictures larger than its memory or training
      --tile-overlap N    pixels by which tiles overlap at least, where they are blended; by default half a tile
      --x NAME=VALUE,...  one picture of many, a column for each value of an option: --x steps=10,20,30; of a parameter:
                          sampler.eta=0,1; of the prompt: prompt=boat,mill puts the others in the first one's place.
                          Numbers also as 1-5, 0-1 [3] (three of them), 10-50 (+20). --y: rows, --z: one below the other
      --prompt-matrix     one picture of many: -p "a boat|at night|in fog" with every choice of the parts after the first

How:
  -m, --model FILE        a Stable Diffusion 1, 2 or XL checkpoint (.safetensors, .ckpt, .gguf), a folder as diffusers
                          saves it, or a name, hash or title in the folders paths.models; by default the starter model
      --vae FILE          the autoencoder of this file instead of the model's; TAESD for pictures in a hurry
      --text-encoder FILE the text encoder of this file instead of the model's
      --lora NAME[:WEIGHT] a LoRA or LyCORIS: a file, or a name in the LoRA folder; may be repeated. As <lora:NAME:WEIGHT>
                          in the prompt; NAME:TEXT:UNET has weights for each. 1 by default
      --lora-folder DIR   by default paths.loras, else Lora, loras or LyCORIS in or beside the folder paths.models
      --embedding-folder DIR
                          a file's name in the prompt stands for the embedding (textual inversion) in it. By default
                          paths.embeddings, else the folder embeddings in, beside or above paths.models
      --style NAME        a style of the file of styles; may be repeated
      --styles-file FILE  paths.styles, by default styles.csv: name,prompt,negative_prompt
      --wildcards DIR     __name__ in the prompt is a line of DIR/name.txt, {{a|b}} one of these, {{2$$a|b|c}} two; the seed
                          chooses. Without it, or paths.wildcards, they are text
      --emphasis NAME     original, or no-norm: weights do not keep the mean of what they weigh
      --steps N           denoising steps, {steps}
      --cfg SCALE         how closely to follow the prompt, {cfg}; 1 or less: no guidance, twice as fast
      --sampler NAME      {samplers}
      --schedule NAME     {schedules}
      --guidance NAME     none, {guidances}
      --plugin-param KIND.NAME=VALUE
                          a parameter of the sampler, the schedule or the guidance, as sampler.s_churn=4, schedule.rho=5
                          or guidance.phi=0.3; may be repeated. `pumice plugins list` shows them
      --control KEY=VALUE,...
                          a picture to follow; may be repeated: model=FILE (ControlNet or T2I-Adapter), image=PNG,
                          weight=1, start=0, end=1 (shares of the steps), mode=balanced|prompt|control,
                          resize=stretch|crop|fill, preprocessor=NAME (canny, ...), method=NAME
      --filter NAME       what is done to a picture when it is there; may be repeated:
                          {filters}
      --safe-mode         only the plugins that come with Pumice
      --rng NAME          torch-cpu or philox: whose random numbers the seed stands for
      --ensd N            added to the seed of the noise drawn on the way; 0 by default, 31337 in some web UIs
      --clip-skip N       leave out the last N-1 layers of the text encoder

With a picture:
      --strength X        how much of it may change, 0 to 1; 0.75 by default
      --resize-mode NAME  how it comes to the size: stretch, crop, fill (draws its edges out)
      --mask-blur PIXELS  how soft the mask's edge is, {mask_blur}; 4 by default
      --mask-fill NAME    what there is under the mask to begin with: original, fill (the colours around), noise, nothing
      --only-masked       paint the part around the mask at the full size, and lay it back
      --mask-padding N    pixels around the mask that go into that part; 32 by default
      --image-cfg SCALE   how closely a model that edits pictures follows the picture; 1.5 by default

A second pass at a larger size:
      --hires SCALE       that much larger, {hires}
      --hires-steps N     steps of this pass; by default as many as of the first
      --hires-strength X  how much may change, 0 to 1; 0.7 by default
      --hires-sampler NAME
      --hires-upscaler NAME
                          latent (by default, without a model), {upscalers}
      --hires-model FILE  weights of a network for it, as `pumice upscale` takes them

Stable Diffusion 2 and XL:
      --prediction NAME   auto, eps, v, v-zero-snr: what the model predicts, where the file does not say
      --refiner FILE      a model that finishes the picture, as XL's refiner
      --refiner-switch X  where it takes over, 0 to 1; 0.8 by default
      --original-width N, --original-height N, --crop-left N, --crop-top N, --target-width N, --target-height N
                          what XL is told of the picture; by default its size, not cropped
      --aesthetic-score X, --negative-aesthetic-score X
                          what XL's refiner is told; 6 and 2.5 by default

Where:
      --device DEVICE     its number in `pumice devices`, a part of its name, or its UUID; by default the best
      --precision NAME    auto, fp16, fp32, or exact: the same bytes on every device, slower
      --preview FILE      a PNG that shows the picture as it comes, replaced every --preview-every N steps, 5 by default
      --preview-method NAME
                          latent-rgb (an eighth of the size; costs nothing), or taesd with --preview-model FILE
      --stop-at N         end at this step and keep what there is
      --memory SIZE       device memory to use at most: 3GiB, 900MiB, 1.5GB; by default what the device has free. What
                          does not fit comes and goes, and the picture stays the same (see pumice plan)
  -o, --output FILE       PNG; an existing file is replaced. Pictures of a batch: out.png, out-2.png, out-3.png …
                          Without it: pumice-0001.png, or the next number that is free
      --config FILE       instead of ~/.config/pumice/config.toml
      --json              print a report in JSON instead of the names of the files
      --profile FILE      write what the device did, kernel by kernel, for chrome://tracing or Perfetto
      --profile-summary   print it summed up: time, GFLOP/s and GB/s by kernel and variant, memory by stage
      --profile-peaks     measure first what the device can do at most, to compare with; kept for later runs
  -q, --quiet             no progress, no summary
  -h, --help              this text

Signals: SIGUSR1 ends the picture that is made with the step that runs, keeps it, and begins no other; SIGUSR2 leaves it out
and goes on with the next of --count or a grid; SIGINT (Ctrl-C) ends the program.

Environment: PUMICE_DEVICE, PUMICE_PRECISION, PUMICE_MEMORY, PUMICE_MODEL, PUMICE_MODELS, PUMICE_OUTPUT and PUMICE_CACHE
set what the configuration file sets as device, precision, memory, generate.model, paths.models, paths.output and
paths.cache; PUMICE_CONFIG names the file. An option goes before the environment, and that before the file.
)";

constexpr std::string_view kUpscale = R"(Make a picture larger.

  pumice upscale PICTURE --model FILE [options]
  pumice upscale PICTURE --upscaler lanczos --scale 2 [options]

  PICTURE                 a PNG file; its alpha is kept
  -m, --model FILE        weights of a network (.safetensors, .pth): ESRGAN, Real-ESRGAN and their kin
      --upscaler NAME     {upscalers}
                          by default the first that the model is for
      --scale FACTOR      each side times that, 1/16 to 64, whatever the model's own factor; by default that
      --plugin-param upscaler.NAME=VALUE
                          a parameter, as upscaler.tile=512; may be repeated. `pumice plugins list` shows them
      --safe-mode         only the plugins that come with Pumice
      --device DEVICE     as generate has it, and the next
      --precision NAME    auto, fp16, fp32, exact
  -o, --output FILE       PNG; an existing file is replaced. Without it: pumice-0001.png, or the next number that is free
      --config FILE       instead of ~/.config/pumice/config.toml
      --json              print a report in JSON instead of the file's name
  -q, --quiet             no progress
  -h, --help              this text
)";

constexpr std::string_view kPreprocess =
    R"(Make the picture that a control network is given: edges, a pose, blocks of colour.

  pumice preprocess NAME PICTURE [options]

  NAME                    {preprocessors}
  PICTURE                 a PNG file; not for those that draw from their parameters alone
  -W, --width PIXELS      the size of what is drawn without a picture
  -H, --height PIXELS
      --seed N            for those that are random
      --plugin-param preprocessor.NAME=VALUE
                          a parameter, as preprocessor.low=100; may be repeated. `pumice plugins list` shows them
      --safe-mode         only the plugins that come with Pumice
      --device DEVICE     as generate has it, and the next
      --precision NAME    auto, fp16, fp32, exact
  -o, --output FILE       PNG; an existing file is replaced. Without it: pumice-0001.png, or the next number that is free
      --config FILE       instead of ~/.config/pumice/config.toml
      --json              print a report in JSON instead of the file's name
  -q, --quiet             no progress
  -h, --help              this text
)";

constexpr std::string_view kPlan = R"(Say beforehand what a picture takes of the device's memory, and how it is made to fit.

  pumice plan -m MODEL [options]

  -m, --model MODEL       as generate has it, and the next
      --vae FILE, --text-encoder FILE
  -W, --width PIXELS, -H, --height PIXELS, --batch N, --cfg X
      --memory SIZE       device memory to use at most: 3GiB, 900MiB, 1.5GB; by default what the device has free
      --device DEVICE
      --precision NAME    auto, fp16, fp32, exact
      --config FILE       instead of ~/.config/pumice/config.toml
      --json              all figures, in bytes
  -h, --help              this text

The stages run one after the other. Where all weights and the activations fit, they stay for the next picture. Else a
stage's leave before the next one's come; if one alone does not fit, its largest weights come and go while it runs, and a
picture too large to decode at once is decoded in tiles.
)";

constexpr std::string_view kDevices = R"(List the Vulkan devices of this machine, the best first.

  pumice devices [--json]

      --json    all limits and features that Pumice looks at
  -h, --help    this text
)";

constexpr std::string_view kModels = R"(Look at model files and folders.

  pumice models list [options]
  pumice models inspect FILE [options]
  pumice models verify FILE [options]
  pumice models merge A B [C] -o OUTPUT [options]
  pumice models bake-vae MODEL VAE -o OUTPUT [options]
  pumice models bake-lora -m MODEL --lora FILE[:WEIGHT] … -o OUTPUT [options]
  pumice models extract-lora TUNED BASE -o OUTPUT [options]

  list          the models in the model folders: kind, family, size, hash
  inspect       say what a file holds
  verify        read all of a file: its hash, numbers that are none, missing tensors
  merge         make one model of two or three
  bake-vae      write a model with the autoencoder of another file
  bake-lora     write a model with adapters in its weights
  extract-lora  write the difference of two models as a LoRA
  -h, --help    this text; with a command, its options

A model is named by a file or folder, or by what `pumice models list` shows: its name below the sub-folder, the beginning
of its hash (8 digits and more), or its title. `pumice convert` writes one in another format.
)";

constexpr std::string_view kMerge = R"(Make one model of two or three.

  pumice models merge A B -o OUTPUT [options]        A * (1 - alpha) + B * alpha
  pumice models merge A B C -o OUTPUT [options]      A + (B - C) * alpha

  A, B, C            model files or folders, or names in the model folders
      --method NAME  weighted-sum, add-difference, or slerp: along the circle from A to B. By default by their number
      --alpha X      0 to 1, by default 0.5; of add-difference 0 to 2, by default 1
      --blocks LIST  X for each block of the UNet, separated by commas: its input blocks, the middle, its output blocks
                     (25 of Stable Diffusion 1.x); alpha is for the rest, text encoder and VAE
  -o, --output NAME, --type, --format, --prune, --vae, --text-encoder, --force, --json, --config, --quiet: as
                     pumice convert has them
  -h, --help         this text

Tensors that B or C lacks are A's; the result has A's types and metadata.
)";

constexpr std::string_view kBakeVae = R"(Write a model with the autoencoder of another file.

  pumice models bake-vae MODEL VAE -o OUTPUT [options]

  MODEL              a model file or folder, or a name in the model folders
  VAE                a file with an autoencoder, or a name in the model folders
  -o, --output NAME, --type, --format, --prune, --ema, --text-encoder, --force, --json, --config, --quiet: as
                     pumice convert has them
  -h, --help         this text
)";

constexpr std::string_view kBakeLora = R"(Write a model with LoRA or LyCORIS in its weights.

  pumice models bake-lora -m MODEL --lora FILE[:WEIGHT] … -o OUTPUT [options]

  -m, --model MODEL  a model file or folder, or a name in the model folders
      --lora FILE[:WEIGHT]
                     an adapter, or a name in the model folders; may be repeated. FILE:TEXT:UNET has weights for each;
                     1 by default
  -o, --output NAME, --type, --format, --prune, --ema, --vae, --text-encoder, --force, --json, --config, --quiet: as
                     pumice convert has them
  -h, --help         this text

The weights are those that `generate --lora` computes with, rounded to the types of the model, or of --type.
)";

constexpr std::string_view kExtractLora = R"(Write the difference of two models as a LoRA.

  pumice models extract-lora TUNED BASE -o OUTPUT [options]

  TUNED, BASE        model files or folders, or names in the model folders; TUNED was trained from BASE
      --rank N       of the matrices, 1 to 4096; by default 32
      --conv-rank N  of convolutions larger than 1x1; by default the same
  -o, --output NAME  .safetensors or .ckpt
      --type TYPE    fp32, fp16 or bf16; by default fp16
      --force, --json, --config, --quiet: as pumice convert has them
  -h, --help         this text

UNet and text encoders, under kohya's names. The summary tells how much of the difference the LoRA has.
)";

constexpr std::string_view kInfo = R"(Say how a picture was made, from the texts in its file.

  pumice info PICTURE [options]

  PICTURE      a PNG file by Pumice, AUTOMATIC1111's web UI or ComfyUI
      --raw    the texts as they stand
      --json   the texts and what is understood of them, as JSON
  -h, --help   this text

`pumice generate --from PICTURE` makes it again.
)";

constexpr std::string_view kModelsList = R"(The models in the model folders: name, kind, family, size, hash, title.

  pumice models list [options]

      --no-hash      do not compute hashes that are not known yet; they take as long as reading the files
      --json         as JSON, with paths and whole hashes
      --config FILE  instead of ~/.config/pumice/config.toml
  -q, --quiet        no progress
  -h, --help         this text

Folders are those of models in [paths] of the configuration file, a path or a list, or of PUMICE_MODELS (separated by ':').
Sub-folders are understood by the names that AUTOMATIC1111's web UI and ComfyUI give them (models/Stable-diffusion, VAE,
Lora, embeddings, ControlNet, ESRGAN; checkpoints, vae, loras, controlnet, upscale_models, ...). Hashes are kept in
paths.cache, and computed again when a file's size or time has changed.
)";

constexpr std::string_view kModelsVerify = R"(Read all of a model file: its hash, numbers that are none, missing tensors.

  pumice models verify FILE [options]

  FILE               a model file or folder, or a name in the model folders
      --sha256 HEX   the digits that its hash must begin with
      --json         as JSON
      --config FILE  instead of ~/.config/pumice/config.toml
  -q, --quiet        no progress
  -h, --help         this text

Exit status 0 for a sound file; 5 when it is damaged, incomplete or another than --sha256 says; 14 when it has NaN or
infinite values.
)";

constexpr std::string_view kInspect = R"(Say what a model file holds: family, geometry, types, sizes, SHA-256.

  pumice models inspect FILE [options]

  FILE               a model file or folder, or a name in the folders paths.models
      --json         as JSON, with the file's metadata
      --config FILE  instead of ~/.config/pumice/config.toml
  -h, --help         this text
)";

constexpr std::string_view kConvert = R"(Write a model in another format, with other types, or without what is not needed.

  pumice convert MODEL -o OUTPUT [options]

  MODEL              a model file or folder, or a name in the folders paths.models
  -o, --output NAME  the ending says the format: .safetensors; .ckpt, .pt (PyTorch's archive); .gguf (as
                     stable-diffusion.cpp has it); a name without one of these: a folder as diffusers saves it
      --format NAME  safetensors, ckpt, gguf or diffusers, whatever the ending
      --type TYPE    of the weights: fp32, fp16, bf16, fp8_e4m3, fp8_e5m2; in GGUF also q8_0, q4_0, q4_1, q5_0, q5_1,
                     q2_k, q3_k, q4_k, q5_k, q6_k, which matrices get, and fp16 the rest. By default they stay as they are
      --prune        leave out what only training needs: averaged weights (EMA), optimizer, loss, noise schedule
      --ema          take the averaged weights of the UNet in place of the last
      --vae FILE     take the autoencoder of this file in place of the model's
      --text-encoder FILE
                     likewise the text encoder
      --force        replace what is there under that name
      --json         print a report in JSON instead of the name
      --config FILE  instead of ~/.config/pumice/config.toml
  -q, --quiet        no progress, no summary
  -h, --help         this text

The model passes through memory a few MiB at a time. The output appears under its name when it is whole.
)";

constexpr std::string_view kPlugins = R"(Samplers, schedules, methods of guidance, control networks, upscalers,
preprocessors and image filters are plugins: those that come with Pumice, and others.

  pumice plugins list [options]
  pumice plugins enable ID
  pumice plugins disable ID
  pumice plugins install|remove|pack|keygen|new|verify …

  list              what there is: id, version, kinds, place, status, and why one is not used; then what they bring,
                    with its parameters
      --params      each parameter on a line of its own, with its range and what it does
      --json        all of it as JSON
      --probe       try all out again
      --safe-mode   as a start with --safe-mode sees it
      --config FILE instead of ~/.config/pumice/config.toml
  enable, disable   from the next start on. One that crashed is left out until it is enabled
  install, remove   packages of plugins; these and the next have a --help of their own
  pack, keygen      make a package, and a key to sign it with
  new               start a plugin of one's own
  verify            hold a plugin against what the plugin interface asks of it
  -h, --help        this text

Plugins are looked for in the folders of PUMICE_PLUGIN_PATH (separated by ':'), in paths.plugins of the configuration
file, in ~/.local/share/pumice/plugins, and beside the program. Of two with one id, and of two samplers (schedules, …)
with one name, the first counts.
)";

constexpr std::string_view kBench = R"(Measure a device with Pumice, so that devices of all makers can be compared.

  pumice bench [options]
  pumice bench compare A.json B.json ... [--html FILE]

First what the device can do at most (arithmetic, copying, launching), then fixed work with weights made from a fixed
seed: Stable Diffusion 1.5 at 512x512, 20 steps, one picture and four, from a picture, with a ControlNet; XL at 1024x1024;
the VAE, the text encoders. Each is held against the device's own fp32 (fp32: against the exact form): what is wrong is
marked INVALID, and the exit status is then 1.

      --quick             the starter model and small sizes, for weak devices: minutes
  -m, --model FILE        this checkpoint in place of the made weights
      --control-model FILE a ControlNet for it
      --only NAME         those with this in their names, as vae or sd15-512-b1
      --repeats N         warm runs of each, 2 to 100; 5 by default, quick 3
      --json FILE         write the report; tools/bench/schema.json describes it. An existing file is replaced
      --html FILE         write a page with charts, of one file
      --device DEVICE     its number in `pumice devices`, a part of its name, or its UUID; by default the best
      --precision NAME    auto, fp16, fp32, exact
      --safe-mode         only the plugins that come with Pumice
      --config FILE       instead of ~/.config/pumice/config.toml
  -q, --quiet             no progress
  -h, --help              this text

Without --quick and -m, up to 9 GB are written below paths.cache and taken away again. compare refuses reports that were
changed, are of another version, or of different work.
)";

constexpr std::string_view kVerify =
    R"(Hold a plugin against what the plugin interface asks of it: for those who write plugins.

  pumice plugins verify FILE|FOLDER|ID [options]

  FILE               a library, or a package (.pumice)
  FOLDER             a folder with a plugin.toml and the library it names
  ID                 a plugin that is installed, or comes with Pumice
      --device WHICH an index, a UUID or a part of the name; none: without. By default the best
      --file NAME=FILE
                     what the plugin needs and the checks cannot make, and may be given several times: the model of the
                     upscaler or control network NAME, or, as METHOD.PARAM=FILE, a parameter of type file
      --seconds N    how long one check may take; by default 30
      --json         the report as JSON
      --config FILE  instead of ~/.config/pumice/config.toml
  -h, --help         this text

The plugin runs in a process of its own: samplers, schedules and methods of guidance without a device, over models whose
answer is known, the others on a device and on small pictures and networks. Each check is a line: "ok", "FAILED" and why,
or "not run" and what it lacks. Exit status 38 when one failed; of a package that would be refused, the status of that.
)";

/// Names in lines of the help's width.
std::string wrapped(const std::vector<std::string_view>& names) {
    constexpr std::size_t kIndent = 26, kWidth = 116;
    std::string text;
    std::size_t column = kIndent;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string word = std::string(names[i]) + (i + 1 < names.size() ? "," : "");
        if (column > kIndent && column + 1 + word.size() > kWidth) {
            text += "\n" + std::string(kIndent, ' ');
            column = kIndent;
        } else if (i > 0) {
            text += ' ';
            ++column;
        }
        text += word;
        column += word.size();
    }
    return text;
}

std::string exit_codes() {
    std::string lines;
    for (const ExitCode& code : kExitCodes) lines += fmt::format("  {:<4}{}\n", exit_code(code.status), code.meaning);
    return lines;
}

std::string limits(std::string_view flag) {
    const host::Setting* setting = host::find_flag(flag);
    return setting ? fmt::format("{} to {}", setting->least, setting->most) : "";
}

}  // namespace

std::string help_text(std::string_view command, const HelpNames& names) {
    using fmt::arg;
    if (command == "generate")
        return fmt::format(fmt::runtime(kGenerate), arg("width", limits("--width")), arg("batch", limits("--batch")),
                           arg("steps", limits("--steps")), arg("cfg", limits("--cfg")), arg("mask_blur", limits("--mask-blur")),
                           arg("hires", limits("--hires")), arg("upscalers", wrapped(names.upscalers)),
                           arg("samplers", wrapped(names.samplers)), arg("schedules", wrapped(names.schedules)),
                           arg("guidances", wrapped(names.guidances)), arg("filters", wrapped(names.filters)));
    if (command == "upscale") return fmt::format(fmt::runtime(kUpscale), arg("upscalers", wrapped(names.upscalers)));
    if (command == "plan") return std::string(kPlan);
    if (command == "preprocess")
        return fmt::format(fmt::runtime(kPreprocess), arg("preprocessors", wrapped(names.preprocessors)));
    if (command == "devices") return std::string(kDevices);
    if (command == "models") return std::string(kModels);
    if (command == "convert") return std::string(kConvert);
    if (command == "merge") return std::string(kMerge);
    if (command == "bake-vae") return std::string(kBakeVae);
    if (command == "bench") return std::string(kBench);
    if (command == "bake-lora") return std::string(kBakeLora);
    if (command == "extract-lora") return std::string(kExtractLora);
    if (command == "info") return std::string(kInfo);
    if (command == "models list") return std::string(kModelsList);
    if (command == "models verify") return std::string(kModelsVerify);
    if (command == "plugins") return std::string(kPlugins);
    if (command == "verify") return std::string(kVerify);
    if (command == "inspect") return std::string(kInspect);
    return fmt::format(fmt::runtime(kMain), arg("exit_codes", exit_codes()));
}

}  // namespace pumice::cli
