// `benchfs chown`: whose files they are.
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>

#include "base/text.hpp"
#include "files.hpp"

namespace benchfs::tools {
namespace {

using Words = std::vector<std::string>;

struct OwnerOptions {
  bool recursive = false, itself = false;
};

constexpr std::uint32_t kUnchanged = UINT32_MAX;

struct Owner {
  std::uint32_t uid = kUnchanged, gid = kUnchanged;
};

std::optional<std::uint32_t> number_of(const std::string& text) {
  const auto number = parse_integer(text);
  if (!number || *number >= kUnchanged) return std::nullopt;
  return static_cast<std::uint32_t>(*number);
}

/// Of "user", "user:group", ":group" or "user:" (with the user's own group); names or numbers, as
/// POSIX has it for chown(1). The error says what is unknown.
std::expected<Owner, std::string> parse_owner(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  Owner owner;
  const passwd* known = nullptr;
  if (!user.empty()) {
    known = getpwnam(user.c_str());
    const auto number = known != nullptr ? known->pw_uid : number_of(user);
    if (!number) return std::unexpected("no user " + user);
    owner.uid = *number;
  }
  if (colon == std::string::npos) {
    if (user.empty()) return std::unexpected("no owner is named");
    return owner;
  }
  const std::string group = text.substr(colon + 1);
  if (group.empty()) {
    if (user.empty()) return std::unexpected("neither owner nor group is named");
    if (known == nullptr) return std::unexpected("no group of " + user + " is known");
    owner.gid = known->pw_gid;
    return owner;
  }
  const struct ::group* found = getgrnam(group.c_str());
  const auto number = found != nullptr ? found->gr_gid : number_of(group);
  if (!number) return std::unexpected("no group " + group);
  owner.gid = *number;
  return owner;
}

class OwnerChanger {
 public:
  OwnerChanger(Files& files, const OwnerOptions& options, Owner owner)
      : files_(files), options_(options), owner_(owner) {}

  int run(const Words& words) {
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::string path = path_of(words[i]);
      const bool follow = !options_.itself && !options_.recursive;
      const auto st = files_.stat(path, follow);
      if (st) change(path, follow ? 0 : BENCHFS_NOFOLLOW, S_ISDIR(st->mode));
    }
    return files_.status();
  }

 private:
  void change(const std::string& path, int flags, bool directory) {
    const int error = benchfs_chown(files_, path.c_str(), owner_.uid, owner_.gid, flags);
    if (error != 0) files_.complain(path, error);
    if (!options_.recursive || !directory) return;
    std::vector<std::string> below;
    files_.each_entry(path, 0, [&](const Entry& entry) {
      const std::string full = joined(path, entry.name);
      if (S_ISDIR(entry.type)) {
        below.push_back(full);
      } else {
        change(full, BENCHFS_NOFOLLOW, false);
      }
    });
    for (const std::string& each : below) change(each, BENCHFS_NOFOLLOW, true);
  }

  Files& files_;
  OwnerOptions options_;
  Owner owner_;
};

}  // namespace

Command make_chown(CLI::App& benchfs) {
  auto options = std::make_shared<OwnerOptions>();
  auto words = std::make_shared<Words>();
  CLI::App* app = benchfs.add_subcommand("chown", "Change owner and group");
  app->add_option("OWNER[:GROUP] PATH", *words,
                  "Names or numbers (:GROUP for the group alone); files")
      ->type_name("");
  app->add_flag("-R,--recursive", options->recursive,
                "All below directories, too; symbolic links themselves");
  app->add_flag("--no-dereference", options->itself, "A symbolic link itself");
  return files_command(app, std::make_shared<Where>(), words, 2,
                       [options](Files& files, const Words& given) {
                         const auto owner = parse_owner(given[0]);
                         if (!owner) {
                           print_error("chown", given[0] + ": " + owner.error());
                           return kUsage;
                         }
                         return OwnerChanger(files, *options, *owner).run(given);
                       });
}

}  // namespace benchfs::tools
