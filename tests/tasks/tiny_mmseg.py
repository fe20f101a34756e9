"""A small segmenter of mmsegmentation with random weights."""

import torch

CONFIG = """
norm = dict(type="SyncBN", requires_grad=True)
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor", mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255),
    pretrained=None,
    backbone=dict(type="ResNetV1c", depth=18, base_channels=8, num_stages=2, out_indices=(0, 1), strides=(1, 2),
        dilations=(1, 1), norm_cfg=norm),
    decode_head=dict(type="FCNHead", in_channels=16, in_index=1, channels=8, num_convs=1, concat_input=False,
        num_classes=CLASSES, norm_cfg=norm, align_corners=False,
        loss_decode=dict(type="CrossEntropyLoss", use_sigmoid=False, loss_weight=1.0)),
    train_cfg=dict(), test_cfg=dict(mode="whole"))
test_pipeline = [
    dict(type="LoadImageFromFile"), dict(type="Resize", scale=(256, 128), keep_ratio=True),
    dict(type="LoadAnnotations"), dict(type="PackSegInputs")]
"""


def random_net(folder, classes=19):
    """The files of its config and its checkpoint, and the network. Needs mmsegmentation."""
    from icm_bench.tasks._mmseg import with_ops

    with_ops()
    from mmseg.apis import init_model

    config, checkpoint = folder / f"small{classes}.py", folder / f"small{classes}.pth"
    config.write_text(CONFIG.replace("CLASSES", str(classes)))
    torch.manual_seed(1)
    model = init_model(str(config), device="cpu")
    model.decode_head.conv_seg.weight.data.normal_()  # as initialised, one class wins everywhere
    meta = {"dataset_meta": {"classes": ["a"]}, "epoch": 3}
    torch.save({"meta": meta, "state_dict": model.state_dict()}, checkpoint)
    return config, checkpoint, model
