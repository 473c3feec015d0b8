"""Which test proves what of mediaref 0.3.1 and 1.1.0, behaviour by behaviour, and that it still exists.

A line that is not indented is a theme, one that is indented is a behaviour, and the lines below it name what proves it:
`file::test`, perhaps with a parameter, or a file that measures it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

MAP = """
Installation
  the names of both releases, and 2.1's keywords
    test_compat_signatures::test_the_names_of_0_3_and_1_1_are_public_here
    test_decoder_options::test_native_output_is_the_samples_as_they_are_stored
  extras video, pyav, torchcodec, hf; the command; py.typed; __version__
    test_compat_packaging::test_the_extras_of_all_releases_are_there
    test_compat_packaging::test_the_command_is_mediaref
    test_compat_packaging::test_the_package_says_its_version_and_that_it_is_typed
  importing is light, sets nothing, and works without av
    test_ref::test_import_stays_light
    test_compat_packaging::test_importing_any_part_leaves_av_torch_and_datasets_out_and_the_environment_alone
    test_compat_decoding::test_without_av_the_decoders_are_there_and_say_what_to_install
  logging is Python's, and silent unless asked
    test_compat_packaging::test_a_program_that_sets_up_no_logging_hears_nothing
  AV_CACHE_SIZE: a number, 0 for no limit, else a ValueError
    test_compat_decoding::test_av_cache_size_bounds_the_videos_that_are_remembered
    test_compat_decoding::test_av_cache_size_that_is_no_number_is_a_value_error
  every call of 0.3 and 1.1 binds, with their defaults, and those of 2.1
    test_compat_signatures::test_calls_of_0_3_bind
    test_compat_signatures::test_calls_of_1_1_bind
    test_compat_signatures::test_calls_of_2_1_bind

MediaRef
  two fields, keyword-only, lax coercion, no range
    test_ref::test_equal_references_are_one_key_and_nothing_changes_them
    test_ref::test_fields_take_what_users_have
    test_compat_model::test_pts_ns_is_coerced_to_a_whole_number_and_not_held_to_a_range
    test_compat_model::test_pts_ns_that_is_no_whole_number_is_a_validation_error
    test_compat_model::test_uri_takes_text_and_bytes_and_may_be_empty
  unknown fields are dropped
    test_compat_model::test_unknown_fields_are_dropped_on_every_way_in
  frozen, hashable, equal by fields
    test_ref::test_equal_references_are_one_key_and_nothing_changes_them
    test_compat_model::test_copies_are_made_with_changes
  model_dump, JSON, repr and pickles
    test_compat_model::test_json_and_dictionaries_are_byte_for_byte_those_of_0_3_and_1_1
    test_compat_model::test_repr_and_str_are_those_of_pydantic
    test_compat_model::test_of_a_long_path_the_end_is_shown_too
    test_compat_model::test_what_0_3_and_1_1_have_pickled_is_read
    test_ref::test_what_goes_in_comes_out_of_json_and_pickle
  is_embedded, is_video, is_remote, is_cloud_uri, is_relative_path
    test_ref::test_kinds_of_uri
    test_compat_model::test_a_video_is_what_has_a_time_even_zero
  resolve_relative_path
    test_compat_model::test_a_relative_path_is_put_under_its_base
    test_compat_model::test_what_cannot_be_resolved_is_an_error_a_warning_or_nothing
    test_ref::test_relative_paths_are_put_under_a_folder_a_file_uri_or_a_bucket
  validate_uri
    test_ref::test_validate_uri_looks
    test_compat_model::test_names_that_no_file_can_have_are_not_there
    test_compat_model::test_validate_uri_asks_the_storage_and_says_what_is_missing
  to_ndarray in every format, to_rgb_array, to_pil_image
    test_ref::test_one_reference_gives_pixels_an_image_and_bits
    test_image_matrix::test_formats_give_the_channels_in_the_order_asked
    test_compat_decoding::test_to_rgb_array_drops_alpha_and_takes_the_keyword_of_0_3
    test_compat_model::test_pillow_images_are_rgb_rgba_or_gray
  errors of loading: FileNotFoundError, "Failed to load ...", "Unsupported format", ImportError
    test_ref::test_errors_say_what_was_tried_and_are_what_one_would_catch
    test_bad_input::test_one_clear_error
    test_decoder_options::test_a_decoder_that_is_not_installed_says_what_to_install
  images: orientation, alpha, 16 bits, palettes, CMYK, animations, grey weights, on every road alike
    test_image_matrix::test_exif_orientation_is_applied_to_every_format_on_every_road
    test_image_matrix::test_alpha_is_kept_where_it_is_asked_for_and_never_blended
    test_image_matrix::test_sixteen_bits_are_eight_unless_they_are_asked_for
    test_image_matrix::test_every_mode_becomes_eight_bit_rgb
    test_image_matrix::test_the_first_frame_of_an_animation_is_taken
    test_images::test_channels
  image_decoder and its options
    test_decoder_options::test_unknown_decoders_options_and_values_are_errors
    test_torchcodec::test_images_are_those_that_pillow_gives

DataURI
  fields, uri, str, len, JSON
    test_compat_model::test_a_data_uri_is_its_media_type_its_coding_and_its_payload
  from_uri and its errors
    test_data_uri::test_the_forms_of_the_rfc
    test_data_uri::test_broken_ones_are_refused
    test_compat_model::test_what_is_no_text_is_no_data_uri
    test_compat_model::test_text_that_is_not_percent_encoded_is_a_validation_error
  from_image: formats, quality, channel orders, alpha
    test_data_uri::test_images_come_back_as_they_went_in
    test_compat_model::test_arguments_of_from_image_stand_in_the_order_of_1_1
    test_compat_model::test_quality_is_a_whole_number_from_1_to_100_and_85_unless_told
    test_compat_model::test_formats_without_alpha_drop_it
    test_image_matrix::test_arrays_that_are_no_image_are_refused
  from_file
    test_compat_model::test_from_file_goes_by_the_name_and_never_by_the_content
    test_data_uri::test_files_are_taken_as_they_are
  to_ndarray, to_rgb_array, to_pil_image, is_image, decoded_data
    test_compat_model::test_is_image_is_the_media_type_in_any_case
    test_data_uri::test_any_bytes_survive_either_coding

batch_decode, cleanup_cache
  order, repeats, empty lists
    test_batch::test_order_and_repeats_are_kept
    test_batch::test_what_is_no_list_of_references_is_refused
  the second argument is a strategy or a decoder
    test_compat_decoding::test_the_second_positional_argument_is_told_apart_by_its_type
    test_compat_decoding::test_every_strategy_of_0_3_gives_the_same_frames
    test_compat_decoding::test_arguments_that_contradict_each_other_are_type_errors
  images and several videos: 1.1's rule, 0.3's with a strategy
    test_batch::test_several_files_and_images_when_allowed
    test_compat_decoding::test_a_call_with_a_strategy_takes_images_and_several_videos_as_0_3_did
  gap_threshold, allow_gap
    test_batch::test_gaps_are_refused_where_they_are_not_meant
  errors name the file and are those of a single reference
    test_batch::test_one_bad_reference_raises_or_is_skipped
    test_compat_faults::test_one_and_many_references_raise_the_same_kinds
  cleanup_cache drops everything and imports nothing
    test_compat_decoding::test_av_cache_size_bounds_the_videos_that_are_remembered
    test_compat_decoding::test_cleanup_cache_imports_no_av

Decoders
  BaseVideoDecoder, FrameBatch, VideoStreamMetadata, the types of 0.3
    test_compat_decoding::test_a_decoder_written_for_0_3_or_1_1_is_one_here
    test_compat_decoding::test_a_batch_shows_its_shape_and_not_its_pixels
    test_decoder_options::test_metadata_ends_after_its_duration_where_no_end_is_given
    test_decoder_options::test_the_types_of_0_3_keep_their_names
  PyAVVideoDecoder: sources, metadata, close
    test_compat_decoding::test_an_open_file_is_a_source_like_its_path
    test_compat_decoding::test_metadata_is_that_of_the_frames
    test_compat_decoding::test_a_closed_decoder_may_be_closed_again
    test_compat_decoding::test_what_no_decoder_reads_is_an_error_when_it_is_made
  numbers, slices, get_frames_at
    test_compat_decoding::test_decoders_take_strategies_and_index_without_wrapping
    test_compat_decoding::test_numbers_below_zero_count_from_the_end_and_others_do_not_wrap
  get_frames_played_at
    test_compat_decoding::test_times_are_seconds_in_any_number_type
    test_compat_decoding::test_times_of_batches_are_exact_and_lead_back_to_their_frames
    test_compat_decoding::test_times_outside_the_video_are_value_errors_and_runtime_errors
    test_pyav_pixels::test_the_decoder_class_gives_batches
  get_frames_played_in_range, with and without fps
    test_compat_decoding::test_ranges_have_the_frames_that_begin_in_them_and_rates_those_on_screen
    test_compat_decoding::test_the_rate_of_the_video_gives_its_frames_once_each
    test_compat_decoding::test_ranges_lie_within_the_video
    test_compat_decoding::test_a_rate_that_is_none_is_a_value_error
    test_torchcodec::test_ranges_begin_with_the_frame_on_screen
  mediaref.decoders and get_frame_at_pts_ns
    test_compat_decoding::test_mediaref_decoders_has_the_names_that_the_documents_use
    test_compat_decoding::test_get_frame_at_pts_ns_is_the_frame_on_screen
  TorchCodecVideoDecoder, its options, several threads, forks
    test_torchcodec::test_options_reach_torchcodec
    test_torchcodec::test_threads_may_share_a_decoder
    test_torchcodec::test_a_decoder_serves_both_sides_of_a_fork
  native output
    test_decoder_options::test_native_batches_have_a_channel_axis_and_name_their_format
    test_decoder_options::test_an_expected_pixel_format_is_held_to
  mediaref.core and mediaref.cached_av
    test_decoder_options::test_modules_of_1_1_have_their_names

Which frame
  pts[i] <= t < pts[i+1], the last one until the end, ValueError outside
    test_index::test_a_frame_is_on_screen_until_the_next_one_begins
  frames of variable rate last until the next one
    test_pyav_pixels::test_the_decoder_class_gives_batches
  all backends choose the same
    test_torchcodec_conformance::test_torchcodec_shows_the_frames_that_we_do

Storage
  paths, file:, data:
    test_storage::test_local_spellings
    test_storage::test_reading
  http with and without ranges, redirects, 404; fsspec; chains; storage_options
    test_remote::test_http_with_ranges_without_and_through_redirects
    test_remote::test_servers_that_fail_are_named
    test_remote::test_archives_and_caches_in_a_chain
    test_remote::test_s3_with_credentials
    test_storage::test_storage_options_make_another_file_and_stay_out_of_sight
  a missing backend names its package
    test_ref::test_a_missing_backend_names_the_package
  FFmpeg's protocols cannot be smuggled in
    test_index::test_a_name_like_a_protocol_is_a_file_name

Integrations
  mediaref.hf: type, encode, decode, cast, registration
    test_hf::test_the_feature_is_what_1_1_wrote_down
    test_hf::test_encode_example_takes_references_in_every_form
    test_hf::test_encode_example_refuses_what_is_no_reference
    test_hf::test_decode_example_gives_references_or_the_very_same_dict
    test_hf::test_cast_storage_takes_structs_drops_what_is_no_field_and_keeps_nulls
    test_hf::test_cast_storage_refuses_other_types
    test_hf::test_importing_warns_of_nothing
  mediaref.hf in datasets: rows, lists, nested, disk, parquet, streams, map, filter, formats, cast_column
    test_hf::test_rows_slices_and_columns_are_references
    test_hf::test_lists_and_nested_columns
    test_hf::test_disk_and_parquet_round_trips_keep_the_feature
    test_hf::test_map_and_filter_hand_references_in_and_out
    test_hf::test_streams_are_mapped_filtered_and_shuffled
    test_hf::test_arrow_pandas_and_numpy_formats
    test_hf::test_a_column_of_strings_is_cast
  mediaref.compat.lerobot
    test_compat_lerobot::test_from_videoframe_takes_every_kind_of_number
    test_compat_lerobot::test_from_videoframe_refuses_what_is_no_frame
    test_compat_lerobot::test_to_videoframe_is_the_way_back
    test_compat_lerobot::test_an_episode_inside_a_longer_video_finds_its_frames
    test_compat_lerobot::test_a_folder_of_lerobot_v3_is_read_by_reference
  the command: status, enable-hf-feature, disable-hf-feature
    test_cli::test_taking_the_block_back_gives_the_text_byte_for_byte
    test_cli::test_a_block_that_1_1_wrote_is_known
    test_cli::test_once_enabled_datasets_knows_the_feature_by_itself
    test_cli::test_a_file_that_may_not_be_written_is_status_1
  rosbags
    test_ros_example::test_every_camera_becomes_a_video_with_the_recorded_times
    test_ros_example::test_decode_and_info_show_what_a_bag_has
  patch-torchcodec
    test_patch_torchcodec::test_patched_torchcodec_decodes_with_the_ffmpeg_of_pyav

The specification
  equivalence and normal form
    test_normal_form::test_normal_form_is_that_of_rfc_3986
    test_normal_form::test_equivalence_is_of_uri_and_time_and_equality_of_the_fields
  its examples, and every page
    test_docs::test_the_examples_of_the_specification_are_references
    test_docs::test_a_page_runs_from_top_to_bottom

Faults that are not here: wrong frames
  nanoseconds that were truncated or rounded gave the frame before
    test_every_kind_of_file::test_times_cut_rounded_or_rounded_up_find_their_frame
    test_every_kind_of_file::test_float32_timestamps_of_lerobot_find_their_frame
  garbage after a seek in HEVC, and keyframe flags that lie
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[HEVC]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[HEVC with few keyframes]
    test_pyav_pixels::test_a_false_keyframe_is_found_out
  wrong frames of MPEG-TS by torchcodec
    test_torchcodec::test_every_frame_is_the_one_that_pyav_gives
  damage without a word
    test_damage::test_of_damaged_h264_no_frame_is_wrong_where_ffmpeg_notices
    test_damage::test_frames_without_their_references_are_errors
  16-bit images clipped, or uint16 by surprise
    test_image_matrix::test_sixteen_bits_are_eight_unless_they_are_asked_for
  EXIF applied to files alone
    test_image_matrix::test_exif_orientation_is_applied_to_every_format_on_every_road
    test_image_matrix::test_an_image_that_is_embedded_is_turned_first
  rotation ignored by one backend
    test_every_kind_of_file::test_a_video_of_a_phone_is_upright
    test_torchcodec::test_every_frame_is_the_one_that_pyav_gives
  pixels of a file that has been replaced
    test_compat_faults::test_a_file_that_was_replaced_gives_its_new_pixels
  a black image of floating-point samples
    test_image_matrix::test_arrays_that_are_no_image_are_refused
  the last frame seconds after its end, where the sound goes on
    test_compat_faults::test_a_time_behind_the_last_frame_has_none_though_the_sound_goes_on

Faults that are not here: files that could not be read
  every kind of file, 40 random times against a sequential decode
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[B frames]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[open GOP]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[variable rate]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[late start]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[negative start]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[cover art]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[fragmented]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[fast start]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[VP9]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[AV1]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[GIF]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[10-bit HEVC]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[odd size]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[pixels that are not square]
  an edit list
    test_every_kind_of_file::test_an_edit_list_leaves_out_what_is_not_shown
  MPEG-TS and MPEG-PS, single frames too
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[MPEG-TS]
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[MPEG-PS]
  a first keyframe after the first frame
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[first keyframe after the first frame]
  WebM without a duration
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[webm without a duration]
  raw H.264
    test_every_kind_of_file::test_a_raw_stream_has_frames_by_number_and_no_times
  a size that changes in mid-stream
    test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[a size that changes]
  a truncated file
    test_every_kind_of_file::test_of_a_truncated_file_what_precedes_the_cut_comes_back
  a rotated one
    test_every_kind_of_file::test_a_video_of_a_phone_is_upright
  alpha
    test_alpha::test_alpha_is_that_of_the_video
    test_alpha::test_alpha_beside_the_packets_is_that_of_the_video
  a video in a data URI
    test_every_kind_of_file::test_a_video_inside_a_data_uri_is_like_any_other

Faults that are not here: threads, processes, caches
  two threads on one file end the process
    test_concurrency::test_threads_share_files_and_their_indexes_with_the_same_answers
  torchcodec fails at the 11th video, or from the first
    test_compat_faults::test_torchcodec_decodes_more_videos_than_a_cache_of_ten_holds
    test_torchcodec::test_references_batches_and_streams_take_the_decoder
  decoders die in a fork, and caches are emptied by it
    test_compat_faults::test_a_decoder_that_is_open_across_a_fork_works_on_both_sides
    test_concurrency::test_processes_open_the_same_file_with_the_same_answers
    test_frame_decoder::test_parent_and_child_use_a_kept_decoder_each
  threads wait for one shared decoder
    test_frame_decoder::test_calls_at_the_same_time_have_decoders_of_their_own
  files that stay open
    test_compat_faults::test_no_file_stays_open_whatever_the_size_of_the_cache
  a closed container in the cache
    test_compat_faults::test_a_container_that_was_closed_is_not_handed_out_again

Faults that are not here: time and memory
  RGB by five steps, one thread
    benchmarks/bench_decode.py
    test_pyav_pixels::test_no_thread_outlives_a_call
  whole groups decoded for nothing
    test_plan::test_groups_without_targets_are_not_touched
    test_plan::test_a_keyframe_costs_one_packet
    test_pyav_pixels::test_nothing_is_decoded_that_was_not_asked_for
  packets read again for every look
    test_compat_faults::test_no_packet_is_read_twice_for_a_batch
  frames decoded that nothing depends on
    test_plan::test_pictures_that_nothing_depends_on_are_left_out_and_targets_are_not
  all frames in memory three times, one frame keeps all
    test_memory::test_a_batch_takes_little_more_than_its_result
    test_memory::test_a_frame_that_is_kept_does_not_keep_the_rest
    test_pyav_pixels::test_arrays_are_writable_contiguous_and_of_their_own
  garbage collected at every tenth call
    test_compat_faults::test_nobody_is_made_to_collect_garbage
  data URIs that are kept, and messages as long as they
    test_image_matrix::test_large_uris_leave_nothing_behind
  files one after the other, without limits of size or time
    test_compat_faults::test_files_of_a_batch_are_read_side_by_side
    test_remote::test_what_is_read_into_memory_is_bounded
    test_remote::test_a_server_may_be_as_slow_as_the_limits_and_no_slower

Faults that are not here: uris and paths
  validate_uri() of a file: uri is False
    test_ref::test_validate_uri_looks
  spellings of file:, DATA:, HTTP:
    test_storage::test_local_spellings
    test_ref::test_kinds_of_uri
    test_remote::test_the_scheme_is_read_in_any_case
  no cloud base, lost subclasses, paths that lead out of the base
    test_ref::test_relative_paths_are_put_under_a_folder_a_file_uri_or_a_bucket
    test_ref::test_a_subclass_stays_itself
    test_bad_input::test_a_path_that_escapes_its_base_is_refused
  a reference may open anything
    test_access::test_every_reader_is_held_to_it
    test_access_attacks::test_no_uri_leads_out_of_the_roots_or_to_this_machine
  RFC 2397
    test_data_uri::test_the_forms_of_the_rfc
  no gray, no WebP or AVIF, alpha lost on the way to Pillow
    test_image_matrix::test_arrays_in_any_order_are_embedded_in_any_format
    test_data_uri::test_coders_and_quality

Faults that are not here: the API
  one error for one reference and another for many, or by backend
    test_compat_faults::test_one_and_many_references_raise_the_same_kinds
    test_compat_decoding::test_times_outside_the_video_are_value_errors_and_runtime_errors
  typos swallowed, iterables refused, all or nothing, formats for images alone, warnings for gaps
    test_batch::test_what_is_no_list_of_references_is_refused
    test_batch::test_one_bad_reference_raises_or_is_skipped
    test_compat_decoding::test_format_reaches_videos_and_images_alike
    test_compat_decoding::test_one_file_in_two_spellings_is_one_video
    test_compat_faults::test_gaps_that_are_allowed_are_not_warned_of
  unhashable references; times that Arrow cannot hold
    test_ref::test_equal_references_are_one_key_and_nothing_changes_them
    test_hf::test_encode_example_refuses_what_is_no_reference
  float32 and int64 of lerobot
    test_compat_lerobot::test_a_timestamp_finds_its_frame_whatever_its_precision
  large_string, string_view, nulls, flatten, pushing bytes, DataURI and Path in columns
    test_hf::test_cast_storage_takes_every_type_of_text
    test_hf::test_cast_storage_takes_columns_of_nulls_and_of_nothing
    test_hf::test_flatten_keeps_references_whole_and_takes_stored_ones_apart
    test_hf::test_images_of_this_machine_are_embedded_and_the_rest_is_counted
    test_hf::test_encode_example_takes_data_uris_and_times
  the command writes through hard links
    test_cli::test_enable_and_disable_touch_no_other_name_of_the_file
  the rosbag example: cameras, shifts, the interval, recorded times
    test_ros_example::test_every_reference_of_every_camera_decodes_to_its_picture
    test_ros_example::test_a_broken_image_shifts_nothing
    test_ros_example::test_the_keyframe_interval_is_one_of_time
  TIFF, PPM, ICO and JPEG 2000 no longer read
    test_images::test_formats
  no streams of frames, no look at a file, no numbers of frames
    test_memory::test_ten_thousand_frames_in_a_row_take_no_more_than_a_hundred
    test_cli::test_inspect_tells_what_the_index_knows
    test_plan::test_explain_says_what_is_fed_and_why
"""

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in [*ROOT.glob("tests/test_*.py"), *ROOT.glob("packages/*/tests/test_*.py")]}
PROOFS = [line.strip() for line in MAP.split("\n") if line.startswith("    ")]


@cache
def names_in(path: Path) -> frozenset[str]:
    found = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return frozenset(node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"))


def exists(proof: str) -> bool:
    file, found, test = proof.partition("::")
    if not found:
        return (ROOT / file).is_file()
    name, _, parameter = test.partition("[")
    path = FILES[file]
    return name in names_in(path) and (not parameter or f'"{parameter[:-1]}"' in path.read_text(encoding="utf-8"))


def test_what_proves_a_behaviour_exists() -> None:
    assert [proof for proof in PROOFS if not exists(proof)] == []
    assert not exists("test_batch::test_that_was_never_written")
    assert not exists("test_every_kind_of_file::test_every_time_finds_the_frame_on_screen[a kind that was never made]")


def test_every_behaviour_has_a_proof() -> None:
    depths = [(len(line) - len(line.lstrip())) // 2 for line in MAP.strip().split("\n") if line]
    assert set(depths) == {0, 1, 2}
    for depth, following in zip(depths, [*depths[1:], 0], strict=True):
        assert following <= 2 if depth == 2 else following == depth + 1


def test_every_test_of_compatibility_has_its_place() -> None:
    checks_of_checks = {"test_compat_map", "test_compat_signatures::test_a_call_that_does_not_bind_is_found"}
    files = {stem: path for stem, path in FILES.items() if stem.startswith("test_compat_")}
    named = {f"{stem}::{test}" for stem in files.keys() - checks_of_checks for test in names_in(files[stem])}
    assert sorted(named - {proof.partition("[")[0] for proof in PROOFS} - checks_of_checks) == []
