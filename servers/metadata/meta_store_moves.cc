// The metadata store: renames and links that are led from here, what was done here for those that
// others lead, and the permit of the gate (move_gate.hpp).
#include "metadata/database.hpp"

namespace benchfs {

void MetaStore::put_move(const MoveIntent& intent) {
  BFS_ASSERT(intent.from.size() <= kNameBytesMax && intent.to.size() <= kNameBytesMax);
  touch();
  records::MoveRecord record{};
  record.version = records::kFormat;
  record.kind = static_cast<std::uint32_t>(intent.kind);
  record.state = static_cast<std::uint32_t>(intent.state);
  record.flags = intent.flags;
  record.moves = intent.moves;
  record.inode = intent.entry.inode;
  record.type = intent.entry.type;
  record.from_parent = intent.from_parent;
  record.to_parent = intent.to_parent;
  record.from_bytes =
      static_cast<std::uint16_t>(intent.from.copy(record.from.data(), kNameBytesMax));
  record.to_bytes = static_cast<std::uint16_t>(intent.to.copy(record.to.data(), kNameBytesMax));
  database_->put(database_->system, records::Key::move(intent.token).view(), record);
}

void MetaStore::remove_move(std::uint64_t token) {
  touch();
  database_->remove(database_->system, records::Key::move(token).view());
}

void MetaStore::put_applied(const Applied& applied) {
  touch();
  database_->put(
      database_->system, records::Key::applied(applied.token).view(),
      records::AppliedRecord{records::kFormat, applied.replaced.type, applied.replaced.inode});
}

void MetaStore::remove_applied(std::uint64_t token) {
  touch();
  database_->remove(database_->system, records::Key::applied(token).view());
}

void MetaStore::put_permit(std::uint64_t token) {
  touch();
  database_->put(database_->system, records::kPermitKey, token);
}

Result<std::vector<MoveIntent>> MetaStore::moves() const {
  std::vector<MoveIntent> intents;
  const auto take = [&](std::uint64_t token, const records::MoveRecord& record) {
    intents.push_back({.token = token,
                       .kind = static_cast<MoveIntent::Kind>(record.kind),
                       .state = static_cast<MoveIntent::State>(record.state),
                       .flags = record.flags,
                       .moves = record.moves,
                       .entry = {record.inode, record.type},
                       .from_parent = record.from_parent,
                       .from = std::string(record.from.data(), record.from_bytes),
                       .to_parent = record.to_parent,
                       .to = std::string(record.to.data(), record.to_bytes)});
  };
  BFS_CHECK(all, read_numbered<records::MoveRecord>(*database_, records::kMovePrefix, take));
  return intents;
}

Result<std::vector<Applied>> MetaStore::applied() const {
  std::vector<Applied> all;
  const auto take = [&](std::uint64_t token, const records::AppliedRecord& record) {
    all.push_back({.token = token, .replaced = {record.inode, record.type}});
  };
  BFS_CHECK(read, read_numbered<records::AppliedRecord>(*database_, records::kAppliedPrefix, take));
  return all;
}

Result<std::uint64_t> MetaStore::permit() const {
  std::uint64_t token = 0;
  const Status found = database_->get(database_->system, records::kPermitKey, token);
  if (!found && found.error().code != Errc::not_found) return std::unexpected(found.error());
  return token;
}

}  // namespace benchfs
