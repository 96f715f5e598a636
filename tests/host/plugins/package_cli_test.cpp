// Installing, packing and refusing as users meet it: exit status, stdout, stderr, and what is on disk afterwards.
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "catch.hpp"
#include "host/plugins/package_builder.hpp"
#include "host/process.hpp"
#include "plugins/package_outcome.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::test;
using host::Refusal;
namespace fs = std::filesystem;

namespace {

/// A user's home and the files that come in.
struct User {
    TemporaryFolder folder;
    fs::path data() const { return folder.path() / "data"; }
    fs::path plugins() const { return data() / "pumice" / "plugins"; }
    std::string file(const std::string& name) const { return (folder.path() / name).string(); }
    Run command(std::vector<std::string> arguments) const {
        arguments.insert(arguments.begin(), "plugins");
        return {.arguments = std::move(arguments), .environment = {{"XDG_DATA_HOME", data().string()}}};
    }
    Finished plugins(std::vector<std::string> arguments) const { return run(command(std::move(arguments))); }
    /// Installs a package of these bytes, named p.pumice.
    Finished install(const std::string& zip, const std::vector<std::string>& options = {}) const {
        write_file(folder.path() / "p.pumice", zip);
        std::vector<std::string> arguments = {"install", file("p.pumice")};
        arguments.insert(arguments.end(), options.begin(), options.end());
        return plugins(arguments);
    }
};

void check_fails(const Finished& finished, int status, const std::string& message) {
    CHECK(finished.status == status);
    CHECK(finished.out.empty());
    CHECK(finished.err == "pumice: " + message + "\n");
}

host::SecretKey new_key() {
    auto key = host::SecretKey::generate();
    REQUIRE(key);
    return std::move(*key);
}

std::vector<Entry> with(Entry entry) {
    std::vector<Entry> entries = entries_of();
    entries.push_back(std::move(entry));
    return entries;
}

std::vector<Entry> without(const std::string& name) {
    std::vector<Entry> entries = entries_of();
    std::erase_if(entries, [&](const Entry& entry) { return entry.name == name; });
    return entries;
}

/// The method of a zip's only, stored entry in both its places: 14 is LZMA.
std::string with_method(std::string zip, char method) {
    zip[8] = method;
    zip[zip.find("PK\1\2") + 10] = method;
    return zip;
}

struct Case {
    Refusal refusal;
    std::string zip, message;  ///< without the file's name
};

std::vector<Case> refused_packages() {
    Wanted wrong_hash, elsewhere, later, named_twice, absolute, traversal;
    wrong_hash.sha256 = std::string(64, '0');
    elsewhere.platform = host::host_platform() == "macos-aarch64" ? "linux-aarch64" : "macos-aarch64";
    later.sdk = 2;
    const std::string found = host::sha256(bytes_of("the library"));
    const auto changed = [](const host::SecretKey& key) {
        std::string zip = signed_package(key, {});
        const auto package = read(zip);
        std::vector<Entry> entries;
        for (const auto& [name, bytes] : package->files)
            entries.push_back({name, name == "LICENSE" ? "You may not." : std::string(bytes.begin(), bytes.end())});
        return make_zip(entries);
    };
    return {
        {Refusal::signature, changed(new_key()),
         "the signature does not fit the files: something was changed after signing"},
        {Refusal::signature, make_zip(with({"plugin.sig", "me"})), "plugin.sig is no signature, or damaged"},
        {Refusal::hash, package(wrong_hash),
         "golden.so has SHA-256 " + found + ", not " + wrong_hash.sha256 + " as plugin.toml says; damaged, or changed"},
        {Refusal::missing, make_zip(without("golden.so")), "golden.so is missing, which plugin.toml names"},
        {Refusal::missing, make_zip(without("LICENSE")), "LICENSE is missing, which plugin.toml names"},
        {Refusal::missing, make_zip(without("plugin.toml")), "plugin.toml is missing; this is no package of a plugin"},
        {Refusal::unlisted, make_zip(with({"more.so", "x"})), "more.so is there, but plugin.toml does not name it"},
        {Refusal::duplicate, make_zip(with({"LICENSE", "x"})),
         "LICENSE is there twice, if upper and lower case are one"},
        {Refusal::duplicate, make_zip(with({"license", "x"})),
         "license is there twice, if upper and lower case are one"},
        {Refusal::duplicate, make_zip(with({"LICENSE/x", "x"})), "license is both a file and a folder"},
        {Refusal::traversal, make_zip(with({"../../evil", "x"})), "../../evil: this name leads out of the package"},
        {Refusal::traversal, make_zip(with({"shaders/../../evil", "x"})),
         "shaders/../../evil: this name leads out of the package"},
        {Refusal::absolute, make_zip(with({"/tmp/evil", "x"})),
         "/tmp/evil: an absolute name; a package holds files of its own folder only"},
        {Refusal::absolute, make_zip(with({"C:/evil", "x"})),
         "C:/evil: an absolute name; a package holds files of its own folder only"},
        {Refusal::name, make_zip(with({"nul.txt", "x"})),
         "nul.txt: not every system can hold a file of this name; use letters, digits, '_', '-' and '.'"},
        {Refusal::link, make_zip(with({.name = "a.so", .link = "/etc/passwd"})),
         "a.so is a symbolic link; a package holds plain files only"},
        {Refusal::encrypted, make_zip(entries_of(), {.encrypted = true}),
         "it holds encrypted files; packages are never encrypted"},
        {Refusal::compression, with_method(make_zip({{"a", "stored"}}, {.stored = true}), 14),
         "a is neither stored nor deflated; pack with `pumice plugins pack`, or a zip program's usual settings"},
        {Refusal::too_large, make_zip(with({"zeros", std::string(8 << 20, '\0')})),
         "unpacks to more than 200 times its size"},
        {Refusal::none, make_zip({{"plugin.toml", "id = 3"}}),
         "plugin.toml:1: id: this is a whole number, but must be a text"},
        {Refusal::none, make_zip({{"plugin.toml", "idd = \"a\""}}),
         "plugin.toml:1: idd: there is no such key; did you mean id?"},
        {Refusal::none, std::string(100, 'x'), "no package, or a damaged one: it is not a zip file"},
    };
}

}  // namespace

TEST_CASE("each kind of bad package is refused with its own status, and nothing changes") {
    const User user;
    const host::SecretKey key = new_key();
    Wanted other;
    other.id = "org.example.other";
    REQUIRE(user.install(signed_package(key, other)).status == 0);
    const auto before = tree(user.data());
    for (const Case& each : refused_packages()) {
        const int status = each.refusal == Refusal::none ? 5 : static_cast<int>(each.refusal);
        check_fails(user.install(each.zip, {"--allow-unsigned", "--force"}), status,
                    user.file("p.pumice") + ": " + each.message);
        CHECK(tree(user.data()) == before);
    }
    // A user who never installed anything has no folder afterwards either.
    const User fresh;
    check_fails(fresh.install(package()), 20,
                "org.example.golden is not signed, so nobody knows who made it; --allow-unsigned installs it all the "
                "same");
    CHECK_FALSE(fs::exists(fresh.data()));
}

TEST_CASE("what fits this machine, this user and what is installed is decided one by one") {
    const User user;
    const host::SecretKey key = new_key(), other = new_key();
    Wanted wanted;
    wanted.version = "2.0.0";
    REQUIRE(user.install(signed_package(key, wanted)).status == 0);
    const auto before = tree(user.data());
    Wanted older, elsewhere, later;
    elsewhere.version = later.version = "3.0.0";
    elsewhere.platform = host::host_platform() == "macos-aarch64" ? "linux-aarch64" : "macos-aarch64";
    later.sdk = 2;
    const std::string id = wanted.id;
    check_fails(user.install(signed_package(key, older)), 23,
                id + " 2.0.0 is installed, which is newer than 1.0.0; --force replaces it all the same");
    check_fails(user.install(signed_package(key, elsewhere)), 24,
                id + " 3.0.0 has no library for this machine, which is " + std::string(host::host_platform()) +
                    "; it has " + elsewhere.platform);
    check_fails(user.install(signed_package(key, later)), 25,
                id + " 3.0.0 was made for revision 2 of the plugin interface; this Pumice has 1");
    CHECK(user.install(signed_package(other, wanted), {"--allow-unsigned", "--force"}).status == 22);
    CHECK(user.install(package(wanted), {"--allow-unsigned", "--force"}).status == 22);
    CHECK(tree(user.data()) == before);
    CHECK(user.install(signed_package(key, older), {"--force"}).status == 0);
}

TEST_CASE("from a key to a package to a plugin and away again") {
    const User user;
    const fs::path project = user.folder.path() / "project";
    write_project(project);
    const Finished keygen = user.plugins({"keygen", user.file("key")});
    CHECK(keygen.status == 0);
    CHECK(keygen.out.rfind("ed25519:", 0) == 0);
    const std::string key = keygen.out.substr(0, keygen.out.size() - 1);
    CHECK(user.plugins({"keygen", user.file("key")}).status == 4);

    const Finished packed =
        user.plugins({"pack", project.string(), "-o", user.file("a.pumice"), "--key", user.file("key")});
    CHECK(packed.status == 0);
    CHECK(packed.out == user.file("a.pumice") + "\nsigned by " + key + "\n");
    const Finished installed = user.plugins({"install", user.file("a.pumice")});
    CHECK(installed.status == 0);
    CHECK(installed.err.empty());
    CHECK(installed.out == "installed org.example.golden 1.0.0\nsigned by " + key +
                               "; from now on only packages by this key can update it\n");
    CHECK(read_file(user.plugins() / "org.example.golden" / "golden.so") == "the library");

    Wanted next;
    next.version = "1.1.0";
    write_project(project, next);
    CHECK(user.plugins({"pack", project.string(), "-o", user.file("a.pumice"), "--key", user.file("key")}).status == 0);
    CHECK(user.plugins({"install", user.file("a.pumice")}).out ==
          "installed org.example.golden 1.1.0 in place of 1.0.0\nsigned by " + key + "\n");
    check_fails(user.plugins({"remove", "org.example.goldne"}), 3,
                "no plugin org.example.goldne is installed; did you mean org.example.golden?");
    check_fails(user.plugins({"remove", "../.."}), 3, "no plugin ../.. is installed");
    CHECK(user.plugins({"remove", "org.example.golden", "--forget-key"}).out == "removed org.example.golden\n");
    CHECK_FALSE(fs::exists(user.plugins() / "org.example.golden"));

    // The folder itself, as an author tries it out.
    CHECK(user.plugins({"install", project.string()}).status == 20);
    CHECK(user.plugins({"install", project.string(), "--allow-unsigned"}).out ==
          "installed org.example.golden 1.1.0\nnot signed: nobody knows who made it\n");
    CHECK_FALSE(fs::exists(user.plugins() / "org.example.golden" / "golden.c"));
}

TEST_CASE("wrong words on the command line end with status 2") {
    const User user;
    check_fails(user.plugins({"install"}), 2, "plugins install needs a package or a folder");
    check_fails(user.plugins({"install", "a", "b"}), 2, "plugins install takes no second argument b; see --help");
    check_fails(user.plugins({"install", "a", "--forse"}), 2,
                "plugins install takes no option --forse; did you mean --force?");
    check_fails(user.plugins({"pack", "a"}), 2, "plugins pack needs a name for the package: -o FILE.pumice");
    CHECK(user.plugins({"pack", "a", "-o"}).status == 2);
    check_fails(user.plugins({"install", user.file("none")}), 3,
                "cannot read " + user.file("none") + ": No such file or directory");
    const Finished help = user.plugins({"install", "--help"});
    CHECK(help.status == 0);
    CHECK(help.out.find("\n  22  signed by another key than before") != std::string::npos);
    Run nowhere = user.command({"remove", "a"});
    nowhere.environment.clear();
    check_fails(run(nowhere), 3, "it is not known where plugins lie: set HOME, or XDG_DATA_HOME");
}

TEST_CASE("a disk that takes no more leaves the old version") {
    const User user;
    Wanted old_version, large;
    large.version = "2.0.0";
    // Nothing that deflate makes much smaller.
    std::uint32_t state = 1;
    large.library_content.clear();
    for (int i = 0; i < 400000; ++i)
        large.library_content += static_cast<char>((state = state * 1664525u + 1013904223u) >> 24);
    REQUIRE(user.install(package(old_version), {"--allow-unsigned"}).status == 0);
    const auto before = tree(user.data());
    write_file(user.folder.path() / "p.pumice", package(large));

    Run limited = user.command({"install", user.file("p.pumice"), "--allow-unsigned"});
    limited.file_size_limit = 100000;
    const Finished too_large = run(limited);
    CHECK(too_large.status == 4);
    CHECK(too_large.err.rfind("pumice: cannot write " + user.plugins().string() + "/.new-", 0) == 0);
    CHECK(too_large.err.find("/golden.so: File too large; see ulimit -f\n") != std::string::npos);
    CHECK(tree(user.data()) == before);

    // A key is pinned before the files are there, and is no longer when they could not be written.
    const host::SecretKey key = new_key();
    write_file(user.folder.path() / "p.pumice", signed_package(key, large));
    CHECK(run(limited).status == 4);
    CHECK(tree(user.data()) == before);

    // A disk of its own that is full, where this may be mounted.
    const fs::path disk = user.folder.path() / "disk";
    fs::create_directories(disk);
    if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=256k") == 0) {
        Run full = user.command({"install", user.file("p.pumice")});
        full.environment["XDG_DATA_HOME"] = disk.string();
        const Finished finished = run(full);
        CHECK(finished.status == 4);
        CHECK(finished.err.find(": No space left on device; make room on this disk\n") != std::string::npos);
        const auto left = tree(disk);
        CHECK(left.size() == 2);  // the folder of plugins, and nothing in it
        CHECK(left.count("pumice/plugins") == 1);
        CHECK(::umount(disk.c_str()) == 0);
    }
}

TEST_CASE("a folder that may not be written leaves the old version") {
    const User user;
    REQUIRE(user.install(package(), {"--allow-unsigned"}).status == 0);
    const auto before = tree(user.data());
    Wanted next;
    next.version = "1.1.0";
    write_file(user.folder.path() / "p.pumice", package(next));
    REQUIRE(::chmod(user.folder.path().c_str(), 0755) == 0);
    REQUIRE(::chmod(user.plugins().c_str(), 0555) == 0);
    for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{
             {"install", user.file("p.pumice"), "--allow-unsigned"}, {"remove", "org.example.golden"}}) {
        Run command = user.command(arguments);
        command.unprivileged = true;
        const Finished finished = run(command);
        CHECK(finished.status == 4);
        CHECK(finished.err.rfind("pumice: cannot ", 0) == 0);
        CHECK(finished.err.find("Permission denied") != std::string::npos);
        CHECK(tree(user.data()) == before);
    }
    REQUIRE(::chmod(user.plugins().c_str(), 0755) == 0);
}

TEST_CASE("a new project is a plugin as it is") {
    const User user;
    Run command = user.command({"new", "my_sampler", "--kind", "sampler"});
    command.folder = user.folder.path();
    const Finished made = run(command);
    CHECK(made.status == 0);
    CHECK(made.out ==
          "my_sampler/CMakeLists.txt\nmy_sampler/my_sampler.c\nmy_sampler/plugin.toml\nmy_sampler/LICENSE\n");
    const fs::path project = user.folder.path() / "my_sampler";
    for (const auto& [name, content] : tree(project)) {
        INFO(name);
        CHECK(content.size() > 100);
        CHECK(content.find("my_sampler") != std::string::npos);
        CHECK(content.find('@') == std::string::npos);
    }
    // Once something stands where the build puts the library, it is a package.
    write_file(project / "my_sampler.so", "built");
    CHECK(user.plugins({"install", project.string(), "--allow-unsigned"}).out ==
          "installed org.example.my_sampler 0.1.0\nnot signed: nobody knows who made it\n");
    CHECK(tree(user.plugins() / "org.example.my_sampler").size() == 3);

    check_fails(run(command), 4, "cannot make the folder ./my_sampler: File exists");
    command.arguments = {"plugins", "new", "My-Sampler", "--kind", "sampler"};
    check_fails(run(command), 2,
                "My-Sampler is no name for a plugin: a lower-case letter, then those, digits and '_', at most 32");
    command.arguments = {"plugins", "new", "other", "--kind", "sampelr"};
    check_fails(run(command), 2,
                "--kind: sampelr is not one of sampler, guidance, schedule, control, preprocessor, upscaler, image_filter; "
                "did you mean sampler?");
    command.arguments = {"plugins", "new", "other"};
    check_fails(run(command), 2, "plugins new needs to know what for: --kind sampler|guidance|schedule|control|preprocessor|"
                                 "upscaler|image_filter");
    CHECK_FALSE(fs::exists(user.folder.path() / "other"));
}
