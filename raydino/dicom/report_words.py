"""Words that are common in radiology reports, or in headers: never taken for a name on their own.

A patient may be called Small or Young, an institution Chest Clinic, and a report still says "small
effusion". Such a word goes only as a part of a whole name or after a title. Neighbour: ``scrub``.
Source: words that occur at least twelve times in the 3,955 reports of the Indiana University chest
X-ray collection (Demner-Fushman 2016), some words of headers, and surnames that are ordinary words.
"""

from __future__ import annotations

_WORDS = """
abdomen abdominal abnormal abnormalities abnormality above accentuated accession acromioclavicular active acute
additional address adenopathy adjacent admission aerated aeration after again age ago air airspace airways along
also altered alveolar am amount an and aneurysm anonymized anonymous anterior any aorta aortic ap apex apical apices
apparent appear appearance appearing appears appreciated appropriate approximately april are area areas arm arteries
artery arthritic arthritis artifact as ascending aspect aspiration assault associated asthma at atelectasis
atherosclerosis atherosclerotic atrial atrium atypical august available avec back ball bandlike bariatric base bases
basilar be been before befund bei bell below best better biapical bibasilar big bilateral bilaterally bird black
blood blunted blunting bmt bodies body bone bony borderline both bowel breast breath breathing bright bronchitis
bronchovascular brown bush but by bypass ca cabg calcific calcification calcifications calcified caliber cancer
cannot carcinoma cardiac cardio cardiomediastinal cardiomegaly cardiopulmonary case catheter cavitary cavoatrial
cell central cervical change changes characterization chart chest chf chills cholecystectomy chronic clavicle clear
clinic clinical clinically clips cm coarse coeur collapse collection colon com compared comparison compatible
complaints complete con concern concerning configuration congestion consider consistent consists consolidation
consolidations continued contour contours contrast convincing copd corazon coronary correlate correlation
costophrenic could cp critical cross crowding ct cuore curvature cxr cystic dans dark das data dated day days
decreased defibrillator defined definite deformities deformity degenerative del demonstrate demonstrated dense
densities density department der derecho derived des descending described destra developed development device
dextroscoliosis diagnosis diameter diaphragm diaphragms die differential difficulty diffuse dilated disc discrete
disease dislocation displaced distal dizziness doctor does dr du dual due dyspnea early east eastern ectasia ectatic
edema effusion effusions ein eine el elevated elevation emergency emphysema emphysematous en end endplate
engorgement enlarged enlargement epicardial et evaluate evaluated evaluation eventration evidence exacerbation
exaggerated exam examination exclude excluded exertion expanded expected extensive external extremity factors
failure fair fall fat female few fibrosis field fields film films finding findings first fissure flattened
flattening fluid focal followup foot for foreign formation fox fracture fractures free from frontal further fusion
general given gli granuloma granulomas granulomatous gray great greater green grey grossly group habitus hand hart
has have head headache healed healing heart helpful hemidiaphragm hemidiaphragms hemithorax hemoptysis hernia herz
hiatal high hilar hill hilum hip history hospital hours however humeral humerus hx hyperexpanded hyperexpansion
hyperinflated hyperinflation hypertension hypoinflated hypoinflation hypoxia icd id identified if ij il ill im image
images imaging impression improved improvement in includes incompletely increase increased increasing indeterminate
indicate indicated indication infection infectious inferior infiltrate infiltrates inflammatory inflated injury
inpatient intact internal interstitial interval intraperitoneal intrathoracic involving irregular irregularity is it
izquierdo joint joints jugular junction june kein keine kidney king knee known kvp kyphosis la lab laboratory lamb
large las last late lateral le leads left leg les lesion lesions less level levoscoliosis limited limits line lines
lingula lingular links little lo lobar lobe lobes loculated long lordotic los loss lossless lossy low lower lucency
lumbar lung lunge lungs lymph lymphadenopathy lymphoma major male malignancy man march mark marked markings marrow
mass masses may measuring medial mediastinal mediastinum medical melanoma mental metastatic mid middle midline
midlung midthoracic mild mildly minimal minor mit mm moderate moderately monitor month months more most mr mrn mrs
ms multilevel multiple mva mvc name nan nausea near neck negative nel new nicht nipple no node nodular nodule
nodules none nonsmoker nonspecific normal normally north northern not note noted notification now number numbness
numerous obscuration obscured obstructive obtained of ohne old on one only onset op opacification opacities opacity
or original osseous osteopenia osteophytes other otherwise out outpatient outside over overall overlie overlies
overlying overt pa pacemaker pain para paratracheal parenchyma parenchymal partial partially patchy patient pattern
pectus pelvis per performed pericardial perihilar peripheral persistent picc placement please pleural pneumonia
pneumoperitoneum pneumothoraces pneumothorax polmone poor por portable position positive possible possibly post
posterior postoperative postsurgical poumon pour ppd pre preop preoperative present presents pressure previous
previously price primary primordial prior probable probably process processing productive prof projected projecting
projection projects prominence prominent prostate proximal pt pulmon pulmonary quadrant question questionable
radiograph radiographic radiographs radiography radiology recent rechts recommend recommended redemonstrated
redemonstration referring reflect region related remain remains remote removal removed renal repair replacement
report represent representing represents rescaled resident residual resolution result retrocardiac retrosternal
reveal reveals rib ribs rich right rivers room rose rotated rotation round rounded rule sans sarcoidosis scan scar
scarring scattered sclerotic scoliosis secondary seen segment senescent senza sequela sequelae series service
several severe shadows shaped sharp shielded short shortness shoulder show side sided significant significantly
silhouette silhouettes similar sin since single sinistra size sized skeletal slight slightly small smoking sob soft
some somewhat south southern space spaces specifically spinal spine spondylosis spring spurring stable standard
states station status stent sterling sternotomy stomach stone streaky street strong structures studies study
subclavian subsegmental subtle suggest suggesting suggestive suggests sulcus summer superimposed superior surgery
surgical suspected suspicious svc symptoms syncope synthetic system systems tb technical technique temporary
tenderness test testicular th than that the there these thickening this thoracic thoracolumbar thorax throat through
throughout tip tips tissue tissues to tobacco today top tortuosity tortuous total trachea tracheostomy transplant
treatment tube tuberculosis tuberculous two typical un unchanged und under underlying une unit unknown unremarkable
up upper use vague valve vascular vascularity vasculature vehicle vein venous ventricle versus vertebral very view
views visible visualized volume volumes vom vomiting von wall ward was waters weak weakness wedge weeks well were
west western wheezing which white widening winter with within without wolf woman wood woods workup worse worsening
would xray year years young zone zum zur
"""
COMMON_WORDS = frozenset(_WORDS.split())
