#include "plugins/install.hpp"

#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <signal.h>

#include <thread>

#include "catch.hpp"
#include "host/plugins/package_builder.hpp"
#include "temporary_folder.hpp"

using namespace pumice;
using namespace pumice::host;
using namespace pumice::test;
namespace fs = std::filesystem;

namespace {

const std::string kId = "org.example.golden";

SecretKey new_key() {
    auto key = SecretKey::generate();
    REQUIRE(key);
    return std::move(*key);
}

Wanted version(const std::string& text) {
    Wanted wanted;
    wanted.version = text;
    wanted.library_content = "library of " + text;
    return wanted;
}

Package package_of(const std::string& zip) {
    auto package = read(zip);
    if (!package) throw std::runtime_error(package.failure().message);
    return std::move(*package);
}

Packaged<Installed> install(const fs::path& folder, const std::string& zip, InstallOptions options = {}) {
    return install_package(folder, package_of(zip), options);
}

Packaged<Installed> install_unsigned(const fs::path& folder, const std::string& zip) {
    InstallOptions options;
    options.allow_unsigned = true;
    return install(folder, zip, options);
}

/// The version of the only installed plugin; "" if there is none.
std::string installed(const fs::path& folder) {
    const auto all = installed_plugins(folder);
    if (!all) return all.failure().message;
    if (all->empty()) return "";
    if (all->size() > 1) return "several";
    const InstalledPlugin& plugin = all->front();
    if (!plugin.broken.empty()) return plugin.broken;
    // The library is of the same version as plugin.toml: never a mixture of two.
    if (read_file(plugin.library) != "library of " + plugin.description.version.text) return "a mixture";
    return plugin.description.version.text;
}

}  // namespace

TEST_CASE("a plugin is installed, updated and removed") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path() / "data" / "plugins";
    const SecretKey key = new_key();
    CHECK(installed(folder).empty());

    const auto first = install(folder, signed_package(key, version("1.0.0")));
    REQUIRE(first);
    CHECK(first->version == "1.0.0");
    CHECK_FALSE(first->before);
    CHECK(first->first_use);
    CHECK(first->signed_by == key.public_key());
    CHECK(installed(folder) == "1.0.0");
    CHECK(read_file(folder / kId / "shaders" / "a.comp") == "main");
    CHECK(read_keys(folder)->at(kId) == key.public_key());

    Wanted next = version("1.1.0");
    next.files = {{"LICENSE", "You may still."}};
    const auto second = install(folder, signed_package(key, next));
    REQUIRE(second);
    CHECK(second->before == "1.0.0");
    CHECK_FALSE(second->first_use);
    CHECK(installed(folder) == "1.1.0");
    CHECK_FALSE(fs::exists(folder / kId / "shaders"));
    REQUIRE(install(folder, signed_package(key, next)));  // the same again

    REQUIRE(remove_plugin(folder, kId, Key::keep));
    CHECK(installed(folder).empty());
    const auto left = tree(folder);
    CHECK(left.size() == 1);
    CHECK(left.count(".keys.toml") == 1);
    CHECK(remove_plugin(folder, kId, Key::keep).failure().status == PUMICE_NOT_FOUND);
}

TEST_CASE("the first key is the only one, until it is forgotten") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    const SecretKey key = new_key(), other = new_key();
    REQUIRE(install(folder, signed_package(key, version("1.0.0"))));
    const auto before = tree(folder);
    const std::string advice = "; if you trust it all the same: pumice plugins remove " + kId + " --forget-key";
    const auto check_refused = [&] {
        const auto by_other = install(folder, signed_package(other, version("1.1.0")));
        REQUIRE_FALSE(by_other);
        CHECK(by_other.failure().refusal == Refusal::other_key);
        CHECK(by_other.failure().message == kId + " is signed by " + key_text(other.public_key()) +
                                                ", but versions before it by " + key_text(key.public_key()) + advice);
        const auto by_nobody = install_unsigned(folder, package(version("1.1.0")));
        REQUIRE_FALSE(by_nobody);
        CHECK(by_nobody.failure().refusal == Refusal::other_key);
        CHECK(by_nobody.failure().message ==
              kId + " is not signed, but versions before it were, by " + key_text(key.public_key()) + advice);
    };
    check_refused();
    CHECK(tree(folder) == before);
    // Removing alone does not open the door.
    REQUIRE(remove_plugin(folder, kId, Key::keep));
    check_refused();
    CHECK(installed(folder).empty());
    REQUIRE(remove_plugin(folder, kId, Key::forget));
    CHECK(tree(folder).empty());
    const auto trusted = install(folder, signed_package(other, version("1.1.0")));
    REQUIRE(trusted);
    CHECK(trusted->first_use);
    CHECK(read_keys(folder)->at(kId) == other.public_key());

    // Who signs what was not signed before is trusted then.
    REQUIRE(remove_plugin(folder, kId, Key::forget));
    const auto nobody = install_unsigned(folder, package(version("1.0.0")));
    REQUIRE(nobody);
    CHECK_FALSE(nobody->first_use);
    CHECK(install(folder, signed_package(key, version("1.1.0")))->first_use);
}

TEST_CASE("a newer version stays unless an older one is forced") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    const SecretKey key = new_key();
    REQUIRE(install(folder, signed_package(key, version("1.10.0"))));
    const auto before = tree(folder);
    const auto older = install(folder, signed_package(key, version("1.9.0")));
    REQUIRE_FALSE(older);
    CHECK(older.failure().refusal == Refusal::downgrade);
    CHECK(older.failure().message ==
          kId + " 1.10.0 is installed, which is newer than 1.9.0; --force replaces it all the same");
    CHECK(tree(folder) == before);
    InstallOptions force;
    force.force = true;
    CHECK(install(folder, signed_package(key, version("1.9.0")), force)->before == "1.10.0");
    // Force is for versions, not for keys.
    CHECK(install(folder, signed_package(new_key(), version("2.0.0")), force).failure().refusal == Refusal::other_key);
}

TEST_CASE("a machine of another kind is told what there is") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path() / "none";
    InstallOptions elsewhere;
    elsewhere.allow_unsigned = true;
    elsewhere.platform = "windows-aarch64";
    const auto refused = install(folder, package(), elsewhere);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().refusal == Refusal::platform);
    CHECK(refused.failure().message == kId +
                                           " 1.0.0 has no library for this machine, which is windows-aarch64; it has " +
                                           std::string(host_platform()));
    CHECK_FALSE(fs::exists(folder));
}

TEST_CASE("only this machine's library is installed") {
    TemporaryFolder temporary;
    Wanted wanted = version("1.0.0");
    std::vector<Entry> entries = entries_of(wanted);
    const std::string other = wanted.platform == "macos-aarch64" ? "linux-aarch64" : "macos-aarch64";
    entries.push_back({"other.so", "other"});
    entries[0].content +=
        "[libraries." + other + "]\nfile = \"other.so\"\nsha256 = \"" + sha256(bytes_of("other")) + "\"\n";
    REQUIRE(install_unsigned(temporary.path(), make_zip(entries)));
    CHECK(installed(temporary.path()) == "1.0.0");
    CHECK_FALSE(fs::exists(temporary.path() / kId / "other.so"));
}

TEST_CASE("a broken plugin is listed with its reason, and can be replaced") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    REQUIRE(install_unsigned(folder, package(version("2.0.0"))));
    fs::create_directories(folder / "a.b");
    write_file(folder / "file", "not a plugin");
    write_file(folder / kId / "plugin.toml", "id = 3");
    auto all = installed_plugins(folder);
    REQUIRE(all);
    REQUIRE(all->size() == 2);
    CHECK(all->at(0).id == "a.b");
    CHECK(all->at(0).broken.find("plugin.toml: No such file") != std::string::npos);
    CHECK(all->at(1).broken ==
          (folder / kId / "plugin.toml").string() + ":1: id: this is a whole number, but must be a text");
    Wanted other = version("1.0.0");
    other.id = "org.other";
    write_file(folder / kId / "plugin.toml", description(other));
    CHECK(installed_plugins(folder)->at(1).broken.find("plugin.toml bears another id, org.other") != std::string::npos);
    write_file(folder / kId / "plugin.toml", "");
    fs::remove(folder / "a.b");
    // But not what was put there by hand.
    fs::create_directories(folder / "org.example.hand");
    write_file(folder / "org.example.hand" / "mine.so", "mine");
    Wanted hand;
    hand.id = "org.example.hand";
    CHECK(install_unsigned(folder, package(hand)).failure().message ==
          (folder / hand.id).string() + " is there already, but not from a package; move it away");
    CHECK(read_file(folder / hand.id / "mine.so") == "mine");
    fs::remove_all(folder / hand.id);
    REQUIRE(install_unsigned(folder, package(version("1.0.0"))));
    CHECK(installed(folder) == "1.0.0");
}

TEST_CASE("damaged pins are not taken for none") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    const SecretKey key = new_key();
    REQUIRE(install(folder, signed_package(key, version("1.0.0"))));
    for (const char* wrong : {"a = 3", "\"a.b\" = \"key\"", "[a]", "a = ["}) {
        write_file(folder / ".keys.toml", wrong);
        const auto before = tree(folder);
        const auto refused = install(folder, signed_package(new_key(), version("1.1.0")));
        REQUIRE_FALSE(refused);
        CHECK(refused.failure().status == PUMICE_BAD_FORMAT);
        CHECK(refused.failure().message.rfind((folder / ".keys.toml").string() + ":", 0) == 0);
        CHECK(tree(folder) == before);
    }
}

TEST_CASE("what interrupted programs leave is cleaned up") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    REQUIRE(install_unsigned(folder, package(version("1.0.0"))));
    for (const char* left : {".new-abc123", ".gone-abc123"}) {
        fs::create_directories(folder / left / "shaders");
        write_file(folder / left / "golden.so", "half");
    }
    CHECK(installed(folder) == "1.0.0");  // who only looks sees none of it
    // Between the two steps of a file system that cannot exchange names: the old version is away, the new not there.
    fs::rename(folder / kId, folder / (".old-" + kId));
    CHECK(remove_plugin(folder, "org.example.other", Key::keep).failure().status == PUMICE_NOT_FOUND);
    CHECK(installed(folder) == "1.0.0");
    // After the second: the new version is there, the old one not yet removed.
    fs::copy(folder / kId, folder / (".old-" + kId), fs::copy_options::recursive);
    REQUIRE(install_unsigned(folder, package(version("1.1.0"))));
    CHECK(installed(folder) == "1.1.0");
    for (const auto& [name, content] : tree(folder)) {
        INFO(name);
        CHECK(name.rfind(kId, 0) == 0);
    }
}

TEST_CASE("whoever is killed while installing leaves a whole version") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    Wanted old_version = version("1.0.0"), new_version = version("1.1.0");
    for (int i = 0; i < 40; ++i)
        (i % 2 ? old_version : new_version).files.emplace_back("f/" + std::to_string(i), "content");
    const Package packages[] = {package_of(package(old_version)), package_of(package(new_version))};
    InstallOptions options;
    options.allow_unsigned = true;
    options.force = true;
    REQUIRE(install_package(folder, packages[0], options));
    int seen[2] = {};
    for (int round = 0; round < 30; ++round) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            for (int i = round;; ++i)
                if (!install_package(folder, packages[i % 2], options)) ::_exit(1);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(5000 + round * 1300));
        ::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        // Nobody has cleaned up yet: a program that starts now loads one of the two.
        const std::string now = installed(folder);
        CHECK((now == "1.0.0" || now == "1.1.0"));
        ++seen[now[2] - '0'];
        const std::size_t files = tree(folder / kId / "f").size();
        CHECK(files == 20);
    }
    INFO(seen[0] << " and " << seen[1]);
    CHECK(seen[0] + seen[1] == 30);
    REQUIRE(install_package(folder, packages[0], options));
    for (const auto& [name, content] : tree(folder)) CHECK(name.rfind(kId, 0) == 0);
}

TEST_CASE("one program changes plugins at a time") {
    TemporaryFolder temporary;
    const fs::path folder = temporary.path();
    REQUIRE(install_unsigned(folder, package(version("1.0.0"))));
    const int lock = ::open((folder / ".lock").c_str(), O_RDWR);
    REQUIRE(lock >= 0);
    REQUIRE(::flock(lock, LOCK_EX) == 0);
    InstallOptions hasty;
    hasty.allow_unsigned = true;
    hasty.wait = std::chrono::milliseconds(50);
    const auto before = tree(folder);
    const auto refused = install(folder, package(version("1.1.0")), hasty);
    REQUIRE_FALSE(refused);
    CHECK(refused.failure().refusal == Refusal::busy);
    CHECK(refused.failure().message ==
          "another program changes the plugins in " + folder.string() + "; try again when it is done");
    CHECK(remove_plugin(folder, kId, Key::keep, hasty.wait).failure().refusal == Refusal::busy);
    CHECK(tree(folder) == before);
    ::close(lock);
    CHECK(install(folder, package(version("1.1.0")), hasty));

    // Many at once: each waits for its turn.
    std::vector<std::thread> threads;
    std::vector<std::string> failed(8);
    for (std::size_t i = 0; i < failed.size(); ++i)
        threads.emplace_back([&, i] {
            InstallOptions options;
            options.allow_unsigned = options.force = true;
            options.wait = std::chrono::seconds(60);
            const auto done = install(folder, package(version("2.0." + std::to_string(i))), options);
            if (!done) failed[i] = done.failure().message;
        });
    for (std::thread& thread : threads) thread.join();
    for (const std::string& message : failed) CHECK(message.empty());
    CHECK(installed(folder).substr(0, 4) == "2.0.");
    CHECK(tree(folder).size() == 6);  // one plugin: its folder, four files, a folder of shaders
}

TEST_CASE("plugins lie in the folder of the user's data") {
    CHECK_FALSE(installed_plugins_folder(Places{}));
    Places places;
    places.data_home = "/home/ada/.local/share";
    CHECK(installed_plugins_folder(places) == "/home/ada/.local/share/pumice/plugins");
}
